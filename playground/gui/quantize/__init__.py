"""The dialog that makes a quantized copy of a model."""
