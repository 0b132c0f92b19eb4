"""The choices that the command line offers, in a module that `--help` imports without a library."""

from __future__ import annotations

from typing import Literal

from playground.core.precision import Precision

#: "auto" takes the fastest decoder that agrees with the model's forward, "generate"
#: transformers' own loop.
DecoderChoice = Literal["auto", "generate"]

#: The environment that `playground env create` builds.
AUTO_GPTQ = "auto-gptq"

# Quantized copies

#: What a copy can be saved as.
TARGETS = (Precision.GPTQ, Precision.INT8, Precision.NF4)

BITS = (2, 3, 4, 8)

#: Weights that share a scale; -1: one scale for a whole row.
GROUP_SIZES = (32, 64, 128, 256, -1)

#: Least and most pieces of calibration text, and tokens of each.
SAMPLES = (1, 1024)
LENGTHS = (16, 8192)

# Scoring a text

#: The longest window (tokens) that is chosen by itself.
LONGEST_WINDOW = 2048
