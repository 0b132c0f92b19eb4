"""Draws the token latencies of a run as an SVG picture."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from playground.core.trace import LatencyTrace
from playground.history.report.summary import RunReport

WIDTH, HEIGHT = 960, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 12, 36
#: The Okabe–Ito palette, darkened to a contrast of 3:1 on white.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#b5618f", "#a67c00", "#3b8ec2")
DASHES = ("", "8 4", "2 3", "8 3 2 3", "12 4", "4 4")
_POINTS = 600

Line = tuple[NDArray[np.float64], NDArray[np.float64]]


def plot_of(report: RunReport) -> str:
    """Return the picture; "" where no lane has two tokens.

    The median of a lane's answers is drawn strong, the answers themselves faint where there are
    several. The axis ends at the 99.5th percentile, so that one stall does not flatten the rest.
    """
    lines = {lane.position: _lines([a.tokens.times for a in lane.answers]) for lane in report.lanes}
    values = [y for drawn in lines.values() for _, y in drawn]
    if not values:
        return ""
    top = float(np.percentile(np.concatenate(values), 99.5)) * 1.15 or 1.0
    right = max(float(x[-1]) for drawn in lines.values() for x, _ in drawn)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' aria-label="Inter-token latency over the tokens of every lane">'
    ]
    step = _round_step(top)
    for number in range(int(top / step) + 1):
        y, label = _y(number * step, top), f"{number * step:g}"
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{label}</text>')
    for share in (0.0, 0.5, 1.0):
        token = round(2 + (right - 2) * share)
        x = _x(token, right)
        parts.append(f'<text x="{x}" y="{HEIGHT - 16}" text-anchor="middle">{token:,}</text>')
    parts.append(f'<text x="{WIDTH // 2}" y="{HEIGHT - 2}" text-anchor="middle">token</text>')
    parts.append('<text x="4" y="12">ms</text>')
    for position, drawn in lines.items():
        for number, line in enumerate(drawn, start=1):
            kind = "strong" if number == len(drawn) else "faint"
            parts.append(_path(line, position, kind, right, top))
    return "".join([*parts, "</svg>"])


def _round_step(top: float) -> float:
    """Return 1, 2 or 5 times a power of ten, of which three to six fit into an axis."""
    size = 10.0 ** math.floor(math.log10(top))
    return next(step for step in (size / 5, size / 2, size, size * 2) if top / step < 6)


def _lines(answers: list[tuple[float, ...]]) -> list[Line]:
    """Return token numbers and gaps (ms) of every answer, then of their median."""
    gaps = [LatencyTrace(times).inter_token_ms for times in answers]
    gaps = [gap for gap in gaps if len(gap)]
    if not gaps:
        return []
    shortest = min(map(len, gaps))
    median = np.median(np.stack([gap[:shortest] for gap in gaps]), axis=0)
    return [_thinned(gap) for gap in [*(gaps if len(gaps) > 1 else []), median]]


def _thinned(gaps: NDArray[np.float64]) -> Line:
    """Return the line, of a long one the longest gap of every stretch: stalls stay visible."""
    numbers = np.arange(2, len(gaps) + 2, dtype=np.float64)
    step = -(-len(gaps) // _POINTS)
    if step == 1:
        return numbers, gaps
    starts = np.arange(0, len(gaps), step)
    return numbers[starts], np.maximum.reduceat(gaps, starts)


def _path(line: Line, position: int, kind: str, right: float, top: float) -> str:
    numbers, gaps = line
    points = " ".join(
        f"{_x(x, right)},{_y(y, top)}" for x, y in zip(numbers.tolist(), gaps.tolist(), strict=True)
    )
    color, dash = COLORS[position % len(COLORS)], DASHES[position % len(DASHES)]
    return (
        f'<polyline class="{kind}" points="{points}" stroke="{color}" stroke-dasharray="{dash}"/>'
    )


def _x(token: float, right: float) -> float:
    share = (token - 2) / max(1.0, right - 2)
    return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)


def _y(value: float, top: float) -> float:
    share = min(1.0, value / top)
    return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)
