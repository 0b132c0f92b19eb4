"""Compares measurements of lanes: the order of runs, medians and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TypeVar

from playground.core.precision import Precision

T = TypeVar("T")


def alternating(lanes: Sequence[T], repeats: int) -> Iterator[tuple[int, T]]:
    """Yield (repeat, lane), the order of the lanes reversed in every other repeat.

    Drift of the machine (heat, other work) then affects every lane alike.
    """
    for repeat in range(repeats):
        for lane in lanes if repeat % 2 == 0 else reversed(lanes):
            yield repeat, lane


def default_reference(precisions: Sequence[Precision]) -> int:
    """Return the position of the highest precision, the first of several; 0 where there is none."""
    bits = [precision.bits_per_weight for precision in precisions]
    return bits.index(max(bits)) if bits else 0


def median(values: Sequence[float | None]) -> float | None:
    """Return the median of the values that are not None; None if there are none."""
    defined = [v for v in values if v is not None]
    return statistics.median(defined) if defined else None


def ratio(value: float | None, reference: float | None) -> float | None:
    """Return value ÷ reference; None where a value is missing or the reference is 0."""
    if value is None or not reference:
        return None
    return value / reference
