"""The words and rows that every form of an evaluation's report shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from playground.core.format import rate_text, seconds_text, size_text
from playground.evaluation.grade import Grade, GradeState
from playground.evaluation.report.summary import ContestantSummary, summarise
from playground.evaluation.statistics import FEW_GROUPS
from playground.evaluation.store.records import KeptEvaluation, KeptItem

HEAD = ("", "right", "95 %", "no answer", "hit limit", "flips", "p50", "tok/s", "memory")
#: How a grade is shown, by glyph as well as by word.
MARKS = {"right": "✓", "wrong": "✗", "no answer": "–", "hit the limit": "…", "error": "!"}


@dataclass(frozen=True)
class Report:
    """An evaluation in words: its plan, a row a contestant, and a sentence a contestant."""

    title: str
    plan: str
    rows: tuple[tuple[str, ...], ...]
    sentences: tuple[tuple[str, str], ...]
    evaluation: KeptEvaluation
    summaries: tuple[ContestantSummary, ...]


def report_of(evaluation: KeptEvaluation) -> Report:
    """Return an evaluation's report."""
    summaries = summarise(evaluation)
    when = datetime.fromtimestamp(evaluation.created).strftime("%Y-%m-%d %H:%M")
    return Report(
        title=f"{evaluation.suite.name}, {when}",
        plan=plan_line(evaluation),
        rows=tuple(row_of(one) for one in summaries),
        sentences=tuple((one.label, sentence_of(one)) for one in summaries),
        evaluation=evaluation,
        summaries=tuple(summaries),
    )


def plan_line(evaluation: KeptEvaluation) -> str:
    """Return the plan in one line: "billing.csv · 200 of 340 cases, shuffled · finished"."""
    plan, suite = evaluation.plan, evaluation.suite
    parts = [
        suite.name,
        f"{len(plan.order):,} of {len(suite.cases):,} cases, shuffled (seed {plan.seed})",
        f"margin {plan.margin * 100:g} points",
        *(["stops early"] if plan.early_stop else []),
        "greedy" if plan.options.greedy else f"T={plan.options.temperature:g}",
        f"{plan.options.max_new_tokens:,} new tokens",
        evaluation.state.value,
    ]
    return " · ".join(parts)


def row_of(one: ContestantSummary) -> tuple[str, ...]:
    """Return a contestant's row under HEAD."""
    tally = one.tally
    flips = "–"
    if one.paired is not None:
        flips = f"{len(one.paired.flips_down):,} ↘ {len(one.paired.flips_up):,} ↗"
    return (
        one.label,
        f"{tally.right:,} of {tally.graded:,}",
        f"{one.share.low:.0%} to {one.share.high:.0%}",
        f"{tally.no_answer:,}",
        f"{tally.hit_limit:,}",
        flips,
        seconds_text(one.seconds),
        rate_text(one.rate),
        size_text(one.memory_bytes) if one.memory_bytes else "–",
    )


def sentence_of(one: ContestantSummary) -> str:
    """Return what the evaluation says of a contestant."""
    if one.failure:
        return one.failure
    left_out = one.tally.skipped + one.tally.errors
    skipped = f"; {left_out:,} cases were not graded" if left_out else ""
    human = f"; {one.tally.human:,} graded by a person" if one.tally.human else ""
    text = "The reference" if one.verdict is None else one.verdict.text
    groups = one.verdict.groups if one.verdict is not None else 0
    few = f"; {groups:,} groups are too few to rely on" if 0 < groups < FEW_GROUPS else ""
    return f"{text}{few}{skipped}{human}."


def mark_of(item: KeptItem | None) -> str:
    """Return the word for an answer's grade, a key of MARKS; "" where there is none yet."""
    if item is None:
        return ""
    return mark_of_grade(item.final)


def mark_of_grade(grade: Grade | None) -> str:
    """Return the word for a grade."""
    if grade is None:
        return "error"
    if grade.state is GradeState.GRADED:
        return "right" if grade.score is not None and grade.score >= 1 else "wrong"
    return grade.state.value


def flips_of(report: Report, position: int) -> Sequence[str]:
    """Return the ids of the cases in which a contestant and the reference differ."""
    beside = report.summaries[position].paired
    return (*beside.flips_down, *beside.flips_up) if beside is not None else ()
