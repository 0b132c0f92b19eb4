"""Grades a choice by the likelihood of each continuation."""

from __future__ import annotations

from collections.abc import Sequence

from playground.core.scoring import ContinuationScore
from playground.evaluation.case import Case
from playground.evaluation.grade import Grade, GradeState

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def likeliest(scores: Sequence[ContinuationScore], *, per_byte: bool = False) -> int:
    """Return the place of the likeliest continuation, by Σ log p or by that of each byte."""
    values = [one.logprob / max(1, one.text_bytes) if per_byte else one.logprob for one in scores]
    return values.index(max(values))


def grade_choice(scores: Sequence[ContinuationScore], case: Case) -> Grade:
    """Grade a case's choices by their scores; the option `by=byte` divides by their bytes."""
    if not scores or len(scores) != len(case.choices):
        return Grade(state=GradeState.ERROR, note="The choices have no scores.")
    per_byte = case.grader.options.get("by") == "byte"
    place = likeliest(scores, per_byte=per_byte)
    return Grade(
        state=GradeState.GRADED,
        score=float(is_choice(case, place)),
        value=case.choices[place],
        how="per byte" if per_byte else "likeliest",
    )


def is_choice(case: Case, place: int) -> bool:
    """Return whether a choice is a target: by its text, or by its letter."""
    names = {case.choices[place].strip(), LETTERS[place] if place < len(LETTERS) else ""}
    return any(target.strip() in names for target in case.targets)
