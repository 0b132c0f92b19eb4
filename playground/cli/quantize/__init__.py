"""`playground quantize`: a quantized copy of a model, as a folder."""
