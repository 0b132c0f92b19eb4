"""Puts the founding comparison's medians beside the published figures, as values and as text."""

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
    """One precision: medians over its answers, None where nothing was measured, and the ratio of
    `seconds` to that of bf16."""

    seconds: float | None
    ratio: float | None
    ttft_s: float | None
    p50_ms: float | None
    published: founding.PublishedFigure
    published_ratio: float | None

    def cells(self) -> tuple[str, ...]:
        """Return the row's texts, in the order of HEADER."""
        return (
            self.published.precision.label,
            seconds_text(self.seconds),
            ratio_text(self.ratio),
            seconds_text(self.ttft_s),
            ms_text(self.p50_ms),
            seconds_text(self.published.seconds),
            ratio_text(self.published_ratio),
            self.published.model,
        )


def rows(answers: Mapping[Precision, Sequence[Answer]]) -> list[Row]:
    """Return one row for each published figure, in their order; the first is bf16."""
    table: list[Row] = []
    for published in founding.PUBLISHED:
        timed = [a for a in answers.get(published.precision, ()) if a.times]
        figures = [LatencyTrace(answer.times).figures() for answer in timed]
        seconds = median([f.end_to_end_s for f in figures])
        table.append(
            Row(
                seconds=seconds,
                ratio=ratio(seconds, table[0].seconds if table else seconds),
                ttft_s=median([f.ttft_s for f in figures]),
                p50_ms=median([f.p50_ms for f in figures]),
                published=published,
                published_ratio=ratio(published.seconds, founding.PUBLISHED[0].seconds),
            )
        )
    return table


def as_text(table: Sequence[Row], conditions: str) -> str:
    """Return the comparison for the clipboard: tab-separated, with its conditions and caveat."""
    lines = ["\t".join(HEADER), *("\t".join(row.cells()) for row in table)]
    return "\n".join([*lines, "", conditions, f"Published: {founding.SOURCE}. {founding.CAVEAT}"])
