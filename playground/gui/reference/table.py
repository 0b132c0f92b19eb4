"""The founding comparison's medians beside the published figures, as values and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from playground.core import founding
from playground.core.comparison import median, ratio
from playground.core.facts import Answer
from playground.core.format import ms_text, ratio_text, seconds_text
from playground.core.precision import Precision
from playground.core.trace import LatencyTrace

HEADER = (
    "Precision",
    "Median, 15 tokens",
    "to bf16",
    "TTFT",
    "Inter-token p50",
    "Published",
    "to bf16",
    "Published for",
)


@dataclass(frozen=True)
class Row:
    """One precision. Times in seconds, `p50_ms` in milliseconds; None where not measured."""

    precision: Precision
    answers: int
    seconds: float | None
    ratio: float | None
    ttft_s: float | None
    p50_ms: float | None
    published_s: float | None
    published_ratio: float | None
    published_for: str

    def cells(self) -> tuple[str, ...]:
        """The row as texts under HEADER."""
        return (
            self.precision.label,
            seconds_text(self.seconds),
            ratio_text(self.ratio),
            seconds_text(self.ttft_s),
            ms_text(self.p50_ms),
            seconds_text(self.published_s),
            ratio_text(self.published_ratio),
            self.published_for,
        )


def rows(answers: Mapping[Precision, Sequence[Answer]]) -> list[Row]:
    """Medians over the counted answers of each precision; ratios are to bf16."""
    published = {figure.precision: figure for figure in founding.PUBLISHED}
    times = {
        precision: median([a.times[-1] for a in answers.get(precision, ()) if a.times])
        for precision in founding.PRECISIONS
    }
    reference = times[Precision.BF16]
    made = []
    for precision in founding.PRECISIONS:
        own = [a for a in answers.get(precision, ()) if a.times]
        figures = [LatencyTrace(a.times).figures() for a in own]
        figure = published.get(precision)
        made.append(
            Row(
                precision=precision,
                answers=len(own),
                seconds=times[precision],
                ratio=ratio(times[precision], reference),
                ttft_s=median([f.ttft_s for f in figures]),
                p50_ms=median([f.p50_ms for f in figures]),
                published_s=figure.seconds if figure else None,
                published_ratio=(
                    ratio(figure.seconds, published[Precision.BF16].seconds) if figure else None
                ),
                published_for=figure.model if figure else "",
            )
        )
    return made


def as_text(table: Sequence[Row], conditions: str) -> str:
    """The whole comparison for the clipboard: tab-separated, with its conditions and caveat."""
    lines = ["\t".join(HEADER), *("\t".join(row.cells()) for row in table)]
    return "\n".join([*lines, "", conditions, f"Published: {founding.SOURCE}. {founding.CAVEAT}"])
