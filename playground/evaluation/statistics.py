"""The statistics of a paired comparison: intervals, tests, and a set valid at any stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: The two-sided 95 % quantile of the normal distribution.
Z = 1.959964
ALPHA = 0.05
#: Below this many groups a clustered standard error is not to be relied on.
FEW_GROUPS = 20
_BETS = 50


@dataclass(frozen=True)
class Interval:
    """A confidence interval, both ends included."""

    low: float
    high: float


@dataclass(frozen=True)
class PairedCounts:
    """Items by who was right: `both`, the lane only, the reference only, `neither`."""

    both: int
    lane_only: int
    reference_only: int
    neither: int

    @property
    def items(self) -> int:
        return self.both + self.lane_only + self.reference_only + self.neither

    @property
    def difference(self) -> float:
        """The lane's share of right answers less the reference's; NaN without items."""
        if not self.items:
            return math.nan
        return (self.lane_only - self.reference_only) / self.items


def wilson(right: int, items: int, z: float = Z) -> Interval:
    """Return Wilson's interval of a proportion (Wilson 1927, JASA 22:209); [0, 1] for no items."""
    if not items:
        return Interval(0.0, 1.0)
    share = right / items
    scale = 1 + z * z / items
    middle = (share + z * z / (2 * items)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / items + z * z / (4 * items * items))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def mcnemar(lane_only: int, reference_only: int) -> float:
    """Return the exact two-sided p-value of McNemar's test (McNemar 1947, Psychometrika 12:153)."""
    flips = lane_only + reference_only
    tail = sum(math.comb(flips, i) for i in range(min(lane_only, reference_only) + 1))
    return min(1.0, 2 * tail / (1 << flips))


def tango(counts: PairedCounts, z: float = Z) -> Interval:
    """Return Tango's score interval of a paired difference (Tango 1998, Stat Med 17:891)."""
    n, b, c = counts.items, counts.lane_only, counts.reference_only
    if not n:
        return Interval(-1.0, 1.0)

    def statistic(delta: float) -> float:
        a2, b2 = 2.0 * n, -b - c + (2 * n - b + c) * delta
        c2 = -c * delta * (1 - delta)
        q = (math.sqrt(max(0.0, b2 * b2 - 4 * a2 * c2)) - b2) / (2 * a2)
        variance = n * (2 * q + delta * (1 - delta))
        distance = b - c - n * delta
        if variance <= 0:
            return math.copysign(math.inf, distance) if distance else 0.0
        return distance / math.sqrt(variance)

    # The statistic falls from +∞ to −∞ as delta grows.
    difference = counts.difference
    low = _root(lambda d: statistic(d) - z, -1.0, difference)
    high = _root(lambda d: statistic(d) + z, difference, 1.0)
    return Interval(low, high)


def anytime(lane_only: int, reference_only: int, items: int, alpha: float = ALPHA) -> Interval:
    """Return the differences that betting has not ruled out, at whatever item one stops.

    The order of the items must have been shuffled beforehand (Waudby-Smith & Ramdas 2024, JRSS B
    86:1, arXiv 2010.09686): a bet against "the mean difference is m or less" gains with every
    item the lane alone gets right, and a mixture of bets must not reach 2/alpha.
    """
    if not items:
        return Interval(-1.0, 1.0)
    limit = math.log(2 / alpha)
    ties = items - lane_only - reference_only
    # The wealth against "m or less" falls as m grows.
    low = _root(lambda m: _log_wealth(lane_only, reference_only, ties, m) - limit, -1.0, 1.0)
    high = -_root(lambda m: _log_wealth(reference_only, lane_only, ties, m) - limit, -1.0, 1.0)
    return Interval(low, high)


def clustered_error(groups: Sequence[Sequence[float]]) -> float:
    """Return the standard error of a mean over items in groups (Miller 2024, arXiv 2411.00640).

    se = √Σ_c(Σ_i(s_ic − s̄))² / n · √(C / (C − 1)); NaN for fewer than two groups.
    """
    values = [score for group in groups for score in group]
    filled = [group for group in groups if group]
    if len(filled) < 2:
        return math.nan
    mean = sum(values) / len(values)
    squares = sum(sum(score - mean for score in group) ** 2 for group in filled)
    count = len(filled)
    return math.sqrt(squares) / len(values) * math.sqrt(count / (count - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number (Holm 1979, Scand J Stat 6:65), in their order."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def sign_test(wins: int, losses: int) -> float:
    """Return the exact two-sided p-value of a sign test; ties are left out."""
    return mcnemar(wins, losses)


def _log_wealth(gains: int, losses: int, ties: int, m: float) -> float:
    """Return the log of the mean wealth of bets against "the mean difference is m or less"."""
    if m <= -1.0:
        return math.inf if gains or ties else 0.0
    stake: NDArray[np.float64] = np.arange(1, _BETS + 1) / (_BETS + 1) / (1 + m)
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = (
            _times(gains, np.log1p(stake * (1 - m)))
            + _times(losses, np.log1p(-stake * (1 + m)))
            + _times(ties, np.log1p(-stake * m))
        )
    top = float(grown.max())
    return top + math.log(float(np.exp(grown - top).mean()))


def _times(count: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values * count if count else np.zeros_like(values)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function crosses 0, by bisection; an end where it does not."""
    if function(low) <= 0:
        return low
    if function(high) > 0:
        return high
    for _ in range(60):
        middle = (low + high) / 2
        if function(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
