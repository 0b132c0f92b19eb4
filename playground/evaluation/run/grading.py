"""Grades what a contestant answered to a case."""

from __future__ import annotations

from playground.evaluation.case import Case, GraderKind
from playground.evaluation.grade import Grade, GradeState
from playground.evaluation.graders.choice import grade_choice
from playground.evaluation.graders.grade import grade
from playground.evaluation.store.records import ItemAnswer


def grade_item(answer: ItemAnswer, case: Case) -> Grade | None:
    """Return the grade; None for a case that only a person, or another model, can grade."""
    if answer.skipped or answer.failure:
        return Grade(state=GradeState.ERROR, note=answer.skipped or answer.failure)
    if case.grader.kind in (GraderKind.HUMAN, GraderKind.JUDGE):
        return None
    if case.grader.kind is GraderKind.CHOICE:
        return grade_choice(answer.choices, case)
    return grade(answer.text, case, answer.stop_reason)
