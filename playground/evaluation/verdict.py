"""Says in one sentence what a paired comparison shows of a lane, and what it does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

from playground.evaluation.statistics import (
    ALPHA,
    Interval,
    PairedCounts,
    anytime,
    clustered_error,
    tango,
)

#: The tolerated loss where none is given, as a share of the cases.
MARGIN = 0.05
#: More further items than this are not worth a number.
_MOST_ITEMS = 100_000


class VerdictKind(StrEnum):
    """What is shown; the values are data. None of them says that two lanes are the same."""

    NO_LOSS = "no loss"
    LOSS = "loss"
    BETTER = "better"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Verdict:
    """A verdict with the interval that it rests on, in shares of the items.

    `further` is about how many more items would decide it, None where no number is likely to.
    `groups` is the number of groups that have widened the interval, 0 where items stand alone.
    """

    kind: VerdictKind
    interval: Interval
    items: int
    margin: float
    further: int | None = None
    groups: int = 0

    @property
    def text(self) -> str:
        """The sentence, in points: hundredths of the cases."""
        low, high = self.interval.low, self.interval.high
        between = f"between {signed(low)} and {signed(high)}"
        match self.kind:
            case VerdictKind.NO_LOSS:
                return f"No loss above {points(self.margin)} points (95 %): {between}"
            case VerdictKind.BETTER:
                return f"Better by {points(low)} to {points(high)} points (95 %)"
            case VerdictKind.LOSS:
                return f"Loses {points(-high)} to {points(-low)} points (95 %)"
            case VerdictKind.UNDECIDED:
                return self._undecided()

    def _undecided(self) -> str:
        if not self.items:
            return "Undecided: no case was graded in both"
        text = f"Undecided after {self.items:,}: up to {points(self.interval.low)} points possible"
        return text if self.further is None else f"{text}, about {self.further:,} more items"


#: Returns the interval of the difference from lane only, reference only, and items.
IntervalOf = Callable[[int, int, int], Interval]


def verdict(
    counts: PairedCounts,
    margin: float = MARGIN,
    *,
    alpha: float = ALPHA,
    fixed: bool,
    estimate: bool = True,
    groups: Sequence[Sequence[float]] = (),
) -> Verdict:
    """Return the verdict on a lane; without `estimate`, which takes longer, `further` is None.

    `fixed`: the number of items was chosen beforehand, and nobody looked before its end: the
    interval is Tango's. Otherwise it is the set that is valid at any stop. `alpha` is already
    divided among the lanes that are compared with one reference. `groups` are the items'
    differences by group: items that belong together widen the interval. Of a single group the
    verdict is about that group.
    """
    interval_of = _tango_at(alpha) if fixed else _anytime_at(alpha)
    b, c, n = counts.lane_only, counts.reference_only, counts.items
    together = len(groups) if len(groups) > 1 and any(len(group) > 1 for group in groups) else 0
    if together:
        interval_of = _widened(interval_of, counts, clustered(groups, alpha))
    interval = interval_of(b, c, n)
    kind = _kind(interval, margin) if n else VerdictKind.UNDECIDED
    further = None
    if estimate and kind is VerdictKind.UNDECIDED and n:
        further = _further(counts, margin, interval_of)
    return Verdict(kind, interval, n, margin, further, together)


def clustered(groups: Sequence[Sequence[float]], alpha: float = ALPHA) -> Interval:
    """Return the interval of a mean difference over groups: ± z · `clustered_error`.

    Fewer than two groups say nothing of how much groups differ.
    """
    values = [value for group in groups for value in group]
    error = clustered_error(groups)
    if math.isnan(error):
        return Interval(-1.0, 1.0)
    mean, half = sum(values) / len(values), z_of(alpha) * error
    return Interval(max(-1.0, mean - half), min(1.0, mean + half))


def _widened(interval_of: IntervalOf, counts: PairedCounts, least: Interval) -> IntervalOf:
    """Return intervals that are wider by as much as these counts' must be to hold `least`.

    They never become narrower: a few groups that agree by chance would promise too much.
    """
    found = interval_of(counts.lane_only, counts.reference_only, counts.items)
    middle = counts.difference
    down, up = middle - found.low, found.high - middle
    below = max(1.0, (middle - least.low) / down) if down > 0 else 1.0
    above = max(1.0, (least.high - middle) / up) if up > 0 else 1.0

    def widened(b: int, c: int, n: int) -> Interval:
        plain, difference = interval_of(b, c, n), (b - c) / n if n else 0.0
        return Interval(
            max(-1.0, difference - below * (difference - plain.low)),
            min(1.0, difference + above * (plain.high - difference)),
        )

    return widened


def _kind(interval: Interval, margin: float) -> VerdictKind:
    if interval.low > 0:
        return VerdictKind.BETTER
    if interval.low >= -margin:
        return VerdictKind.NO_LOSS
    return VerdictKind.LOSS if interval.high < 0 else VerdictKind.UNDECIDED


def _further(counts: PairedCounts, margin: float, interval_of: IntervalOf) -> int | None:
    """Return how many more items decide it where cases flip as often as so far.

    Half a flip is added to each side, since a rate of 0 is never certain.
    """
    n = counts.items
    up, down = (counts.lane_only + 0.5) / (n + 1), (counts.reference_only + 0.5) / (n + 1)

    def decided(items: int) -> bool:
        interval = interval_of(round(up * items), round(down * items), items)
        return _kind(interval, margin) is not VerdictKind.UNDECIDED

    if not decided(_MOST_ITEMS):
        return None
    low, high = n, _MOST_ITEMS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return _rounded(high - n)


def _rounded(items: int) -> int:
    """Return a number with two digits that matter: it is an estimate."""
    if items < 20:
        return items
    step: int = 10 ** (len(str(items)) - 2)
    return -(-items // step) * step


def _anytime_at(alpha: float) -> IntervalOf:
    return lambda b, c, n: anytime(b, c, n, alpha)


def _tango_at(alpha: float) -> IntervalOf:
    z = z_of(alpha)
    return lambda b, c, n: tango(PairedCounts(0, b, c, n - b - c), z)


def z_of(alpha: float) -> float:
    """Return the two-sided normal quantile of a level."""
    return NormalDist().inv_cdf(1 - alpha / 2)


def points(share: float) -> str:
    """Return a share in points: "5", "2.4", and "0.02" for what is not quite 0."""
    value = abs(share) * 100
    return f"{value:.1f}".removesuffix(".0") if value >= 0.05 else f"{value:.1g}"


def signed(share: float) -> str:
    """Return a share in points with its sign: "+3.2", "−1.8"."""
    text = f"{share * 100:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")
