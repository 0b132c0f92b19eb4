"""Takes the fastest of several implementations of a decode step, by timing each.

Which one is fastest depends on the processor, the model and the precision.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

_ROUNDS = 5
_BUDGET_S = 0.2  # no round begins later
_TOO_SLOW = 2.0  # a candidate that takes this many times the fastest's time is dropped
_MARGIN = 0.05  # a candidate must be faster than earlier ones by this share
_STEADY = 1.3  # the candidate of the last load may take this many times the fastest's time


class Named(Protocol):
    """A candidate; its name goes into the stamp."""

    @property
    def name(self) -> str: ...


Candidate = TypeVar("Candidate", bound=Named)


@dataclass(frozen=True)
class Choice(Generic[Candidate]):
    """The fastest candidate, None where all fail.

    `seconds` has each working candidate's shortest step, `failures` the errors of the others; both
    by name.
    """

    taken: Candidate | None
    seconds: dict[str, float]
    failures: dict[str, Exception]


def fastest(
    candidates: Sequence[Candidate],
    trial: Callable[[Candidate], Sequence[float]],
    last: str = "",
) -> Choice[Candidate]:
    """Time the candidates in turn, for several rounds, and return the fastest.

    `trial` runs a few steps and returns the seconds of each; it raises where the candidate fails
    or its results are wrong. A candidate's shortest step counts: it excludes the cold first step
    and what other programs add. Candidates come in order of preference, under different names.
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
                # The frames of its traceback would keep every candidate alive.
                failures[name] = error.with_traceback(None)
                seconds.pop(name, None)
        limit = _TOO_SLOW * min(seconds.values(), default=0.0)
        remaining = [c for c in remaining if seconds.get(c.name, math.inf) <= limit]
        if len(remaining) < 2 or time.monotonic() - began > _BUDGET_S:
            break
    taken: Candidate | None = None
    for candidate in candidates:
        if candidate.name in seconds and (
            taken is None or seconds[candidate.name] < (1 - _MARGIN) * seconds[taken.name]
        ):
            taken = candidate
    again = next((c for c in candidates if c.name == last and last in seconds), None)
    if again and taken and seconds[last] <= _STEADY * seconds[taken.name]:
        taken = again
    return Choice(taken, seconds, failures)
