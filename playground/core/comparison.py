"""Measuring lanes against each other: the order of runs, medians and ratios."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def alternating(lanes: Sequence[T], repeats: int) -> Iterator[tuple[int, T]]:
    """Yield (repeat, lane), the order reversed every other time.

    Drift of the machine (heat, other work) then falls on every lane alike.
    """
    for repeat in range(repeats):
        for lane in lanes if repeat % 2 == 0 else reversed(lanes):
            yield repeat, lane


def median(values: Sequence[float | None]) -> float | None:
    """Median of the values that are defined, None without any."""
    defined = [v for v in values if v is not None]
    return statistics.median(defined) if defined else None


def ratio(value: float | None, reference: float | None) -> float | None:
    """value ÷ reference, None where it is not defined."""
    if value is None or not reference:
        return None
    return value / reference
