"""What a quantized copy can be; apart from the request, so that a command line imports it fast."""

from __future__ import annotations

from playground.core.precision import Precision

#: What a copy can be saved as.
TARGETS = (Precision.GPTQ, Precision.INT8, Precision.NF4)
BITS = (2, 3, 4, 8)
#: Weights that share a scale; -1: one scale for a whole row.
GROUP_SIZES = (32, 64, 128, 256, -1)
#: Least and most pieces of calibration text, and tokens of each.
SAMPLES = (1, 1024)
LENGTHS = (16, 8192)
