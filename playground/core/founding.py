"""The founding comparison: the measurement this project started from, and its published figures."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision

PROMPT = RawPrompt("Jeremy Howard is a ")
OPTIONS = GenerationOptions(max_new_tokens=15, greedy=True, ignore_eos=True)
PRECISIONS = (Precision.BF16, Precision.INT8, Precision.GPTQ)
MIN_REPEATS = 5


@dataclass(frozen=True)
class PublishedFigure:
    """The published time of one precision: seconds for the 15 tokens, end to end."""

    precision: Precision
    seconds: float
    model: str


PUBLISHED = (
    PublishedFigure(Precision.BF16, 0.389, "Llama-2-7b"),
    PublishedFigure(Precision.INT8, 1.34, "Llama-2-7b, 8-bit (bitsandbytes)"),
    PublishedFigure(Precision.GPTQ, 0.269, "Llama-2-7b-Chat-GPTQ"),
)
SOURCE = "fastai/lm-hackers notebook"
CAVEAT = (
    "The published figures are single runs of a 7-billion-parameter model on a GPU that the "
    "notebook does not name, with first-call effects in them. Compare the order and the ratios, "
    "not the seconds."
)
