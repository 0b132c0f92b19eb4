"""What can be chosen for a quantized copy; imports nothing slow, for the command line's help."""

from __future__ import annotations

from playground.core.precision import Precision

TARGETS = (Precision.GPTQ, Precision.INT8, Precision.NF4)
BITS = (2, 3, 4, 8)
#: -1: one scale for a whole row.
GROUP_SIZES = (32, 64, 128, 256, -1)
#: Least and most pieces of calibration text, and tokens of each.
SAMPLES = (1, 1024)
LENGTHS = (16, 8192)
