"""The command that makes a quantized copy of a model."""
