"""Computes from the traces what the latency plot draws: ranges, histograms, CSV rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from playground.core.floor import Floor
from playground.core.trace import LatencyTrace

FloatArray = NDArray[np.float64]

#: Tokens shown at once while streaming.
WINDOW = 1_000
#: The least latency (ms) on a logarithmic axis: tokens of one batch may have gaps of zero.
LEAST_MS = 1e-3
_BINS = 80
#: Points of a floor: it is straight, but not on a logarithmic axis or past a sliding window.
_FLOOR_POINTS = 33
#: Percentiles are computed again when a trace has grown by this fraction.
_GROWTH = 0.03


@dataclass
class Series:
    """One lane's line in the plot; its percentiles in milliseconds."""

    index: int
    name: str
    trace: LatencyTrace = field(default_factory=LatencyTrace)
    finished: bool = True
    shown: bool = True
    floor: Floor | None = None
    prompt_tokens: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    _counted: int = 0
    _peak: float = 0.0
    _peak_at: int = 0

    def update(self, trace: LatencyTrace) -> None:
        """Take a trace that has grown, or another trace."""
        if trace is not self.trace or len(trace) < self._counted:
            self._counted = 0
            self.p50 = self.p95 = self.p99 = None
            self._peak, self._peak_at = 0.0, 0
        self.trace = trace
        count = len(trace)
        if count > 1 and count >= self._counted * (1 + _GROWTH):
            self.count_percentiles()

    def count_percentiles(self) -> None:
        """Compute the percentiles of the whole trace."""
        gaps = self.trace.inter_token_ms
        if len(gaps):
            self.p50, self.p95, self.p99 = (float(v) for v in np.percentile(gaps, (50, 95, 99)))
            self._counted = len(self.trace)

    @property
    def peak(self) -> float:
        """The longest gap (ms); each access scans only the new gaps."""
        gaps = self.trace.inter_token_ms
        if len(gaps) > self._peak_at:
            self._peak = max(self._peak, float(gaps[self._peak_at :].max()))
            self._peak_at = len(gaps)
        return self._peak

    @property
    def count(self) -> int:
        return len(self.trace)

    def gap_at(self, token: int) -> float | None:
        """Return the milliseconds before `token` (counted from one), None where there are none."""
        gaps = self.trace.inter_token_ms
        return float(gaps[token - 2]) if 2 <= token < len(gaps) + 2 else None

    def floor_at(self, token: int) -> float | None:
        """Return the floor (ms) of `token`, None where it is unknown."""
        if self.floor is None or not 2 <= token <= self.count:
            return None
        return self.floor.token_ms(self.prompt_tokens, token)

    def floor_line(self, left: float, right: float) -> tuple[FloatArray, FloatArray]:
        """Return token numbers between the limits and the floor (ms) at each; empty if unknown."""
        first, last = max(2.0, left), min(float(self.count), right)
        if self.floor is None or first > last:
            return np.empty(0), np.empty(0)
        tokens = np.linspace(first, last, _FLOOR_POINTS)
        least = [self.floor.token_ms(self.prompt_tokens, token) for token in tokens.tolist()]
        return tokens.astype(np.float64), np.array(least, dtype=np.float64)


class TokenNumbers:
    """2, 3, 4, … as floats: the x of every gap, shared by all lanes."""

    def __init__(self) -> None:
        self._numbers = _numbers(4096)

    def upto(self, count: int) -> FloatArray:
        """Return a view of the first `count` numbers."""
        if count > len(self._numbers):
            self._numbers = _numbers(2 * count)
        return self._numbers[:count]


def decimate(
    numbers: FloatArray, values: FloatArray, left: float, right: float, columns: int
) -> tuple[FloatArray, FloatArray]:
    """Return least and greatest value of each pixel column between `left` and `right`.

    At most about 2 × `columns` points draw the same picture, peaks included. `numbers` increase
    by one.
    """
    if not len(numbers):
        return numbers, values
    first = float(numbers[0])
    part = slice(max(0, int(left - first) - 1), max(0, int(right - first) + 3))
    numbers, values = numbers[part], values[part]
    width = len(values) // max(columns, 1)
    if width < 3:
        return numbers, values
    whole = len(values) // width * width
    table = values[:whole].reshape(-1, width)
    lows, highs = table.argmin(axis=1), table.argmax(axis=1)
    starts = np.arange(0, whole, width)
    places = np.empty(2 * len(starts) + 1, dtype=np.intp)
    places[0:-1:2] = starts + np.minimum(lows, highs)
    places[1:-1:2] = starts + np.maximum(lows, highs)
    # What is left over belongs to the last column.
    places[-1] = whole + int(values[whole:].argmax()) if whole < len(values) else whole - 1
    return numbers[places], values[places]


def _numbers(count: int) -> FloatArray:
    return np.arange(2, 2 + count).astype(np.float64)


def follow_range(lanes: Iterable[Series]) -> tuple[float, float]:
    """Return the tokens to show while following the running lanes; it changes in steps."""
    lanes = [lane for lane in lanes if lane.count]
    running = [lane for lane in lanes if not lane.finished]
    longest = max((lane.count for lane in lanes), default=0)
    if not running:
        return 0.0, max(16.0, longest * 1.02 + 1)
    count = max(max(lane.count for lane in running), min(longest, WINDOW))
    if count <= WINDOW:
        step = max(16, 2 ** max(count.bit_length() - 3, 0))
        return 0.0, float(min(WINDOW, -(-(count + 1) // step) * step) if count < WINDOW else WINDOW)
    right = -(-count // 100) * 100
    return float(right - WINDOW), float(right)


def follow_top(lanes: Iterable[Series], current: float) -> float:
    """Return the largest latency to show (ms): above the p95s, and above a peak that is near.

    It changes only when a lane exceeds the range or uses less than half of it.
    """
    needed = 0.0
    for lane in lanes:
        if lane.p95 is not None and lane.p50 is not None:
            limit = max(2.5 * lane.p95, 4 * lane.p50)
            needed = max(needed, min(lane.peak, limit))
    needed *= 1.12
    if needed <= 0:
        return current or 1.0
    if current and 0.5 * current <= needed <= current:
        return current
    return nice_ceiling(needed)


def nice_ceiling(value: float) -> float:
    """Return the least of 1, 1.5, 2, 3, 4, 5, 6, 8 × 10ⁿ that is not below `value`."""
    power = 10.0 ** np.floor(np.log10(value))
    for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10):
        if factor * power >= value:
            return float(factor * power)
    return float(10 * power)


def log_range(lanes: Iterable[Series], *, floors: bool = False) -> tuple[float, float]:
    """Return log₁₀ of the range (ms) of a logarithmic axis; `floors` includes the floors."""
    lows, highs = [], []
    for lane in lanes:
        if lane.p50 is not None:
            gaps = lane.trace.inter_token_ms[-WINDOW:]
            lows.append(max(float(gaps.min()), LEAST_MS, lane.p50 / 30))
            highs.append(max(lane.peak, 1.1 * lane.p50))
            if floors and lane.floor is not None:
                lows.append(lane.floor.token_ms(lane.prompt_tokens, 2))
    if not lows:
        return -1.0, 2.0
    low, high = np.log10(min(lows)), np.log10(max(highs))
    margin = max(0.08, 0.06 * (high - low))
    return float(np.floor((low - margin) * 5) / 5), float(np.ceil((high + margin) * 5) / 5)


def edges_for(lanes: Sequence[Series], *, log: bool) -> FloatArray:
    """Return the edges (ms) of the lanes' common bins; the end bins hold all beyond them."""
    tops = [min(lane.peak, 1.7 * lane.p95) for lane in lanes if lane.p95]
    if not tops:
        low = LEAST_MS if log else 0.0
        return np.array([low, 1.0])
    top = nice_ceiling(max(tops))
    if not log:
        return np.linspace(0.0, top, _BINS + 1, dtype=np.float64)
    lows = [float(lane.trace.inter_token_ms.min()) for lane in lanes if lane.p95]
    low = max(min(lows) * 0.9, top / 1e4, LEAST_MS)
    return np.geomspace(low, top, _BINS + 1).astype(np.float64)


def shares(gaps: FloatArray, edges: FloatArray, *, log: bool, cumulative: bool) -> FloatArray:
    """Return the percentage of gaps in each bin, or up to its right edge.

    `gaps` in ms; `edges` as returned by `edges_for`.
    """
    if not len(gaps):
        return np.zeros(len(edges) - 1)
    low, high = edges[0], edges[-1]
    gaps = np.clip(gaps, low, high)
    if log:
        gaps, low, high = np.log10(gaps), np.log10(low), np.log10(high)
    # numpy is several times faster with equal bins than with given edges.
    counts, _ = np.histogram(gaps, len(edges) - 1, (low, high))
    parts: FloatArray = counts.astype(np.float64) * (100.0 / len(gaps))
    return np.cumsum(parts) if cumulative else parts


def write_csv(lanes: Iterable[Series], file: TextIO) -> None:
    """Write one row per token: when it was ready, and the gap before it (none for the first)."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("lane", "name", "token", "time_s", "inter_token_ms"))
    for lane in lanes:
        times, gaps = lane.trace.times.tolist(), lane.trace.inter_token_ms.tolist()
        if times:
            writer.writerow((lane.index + 1, lane.name, 1, f"{times[0]:.9f}", ""))
        # The name is quoted once: a long stream has 100,000 rows.
        quoted = io.StringIO()
        csv.writer(quoted, lineterminator="").writerow((lane.index + 1, lane.name))
        head = quoted.getvalue()
        file.writelines(
            f"{head},{number},{time:.9f},{gap:.6f}\n"
            for number, time, gap in zip(range(2, len(times) + 1), times[1:], gaps, strict=True)
        )
