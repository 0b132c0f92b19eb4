"""Making a quantized copy of a model: the dialog, and the controller with its engine."""
