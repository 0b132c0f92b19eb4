"""The choice among ways to compute a decode step: each is tried, the fastest that works is taken.

Which is fastest depends on the processor, the model and the precision, so it is measured at load.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

_ROUNDS = 5
_SECONDS = 0.2  # after which no further round begins
_HOPELESS = 2.0  # times the fastest: a candidate as slow as that is not tried again
_MARGIN = 0.05  # the share of its time that a later candidate must save


class Named(Protocol):
    """A candidate; its name goes into the stamp."""

    @property
    def name(self) -> str: ...


Candidate = TypeVar("Candidate", bound=Named)


@dataclass(frozen=True)
class Choice(Generic[Candidate]):
    """The outcome: `seconds` a step of each candidate that worked, `failures` of the others.

    Both by name. `taken` is None where no candidate works.
    """

    taken: Candidate | None
    seconds: dict[str, float]
    failures: dict[str, Exception]


def fastest(
    candidates: Sequence[Candidate], trial: Callable[[Candidate], Sequence[float]]
) -> Choice[Candidate]:
    """Try candidates in alternating order, and take the fastest.

    `trial` runs a few steps and returns the seconds of each; it raises where the candidate fails
    or its results are wrong. The shortest step of each counts, which other programs disturb
    least. Candidates come in the order of preference: a later one must be clearly faster.
    """
    seconds: dict[str, float] = {}
    failures: dict[str, Exception] = {}
    remaining = list(candidates)
    began = time.monotonic()
    for _ in range(_ROUNDS):
        for candidate in remaining:
            name = candidate.name
            try:
                seconds[name] = min(seconds.get(name, math.inf), *trial(candidate))
            except Exception as error:
                failures[name] = error
                seconds.pop(name, None)
        limit = _HOPELESS * min(seconds.values(), default=0.0)
        remaining = [c for c in remaining if seconds.get(c.name, math.inf) <= limit]
        if len(remaining) < 2 or time.monotonic() - began > _SECONDS:
            break
    taken: Candidate | None = None
    for candidate in candidates:
        if candidate.name in seconds and (
            taken is None or seconds[candidate.name] < (1 - _MARGIN) * seconds[taken.name]
        ):
            taken = candidate
    return Choice(taken, seconds, failures)
