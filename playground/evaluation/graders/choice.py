"""`choice`: the continuation that a model finds likeliest, and the choice that a target names."""

from __future__ import annotations

import string
from collections.abc import Sequence

from playground.core.scoring import ContinuationScore
from playground.evaluation.case import Case
from playground.evaluation.grade import Column, Grade, GradeState
from playground.evaluation.graders.found import folded

LETTERS = string.ascii_uppercase


def likeliest(scores: Sequence[ContinuationScore], *, per_byte: bool = False) -> int:
    """Return the place of the likeliest continuation, by Σ log p or by that of each byte."""
    values = [one.logprob / max(1, one.text_bytes) if per_byte else one.logprob for one in scores]
    return values.index(max(values))


def grade_choice(scores: Sequence[ContinuationScore], case: Case) -> Grade:
    """Grade a case's choices by their scores; the option `by=byte` divides by their bytes.

    The columns "by sum" and "per byte" hold both.
    """
    if not scores or len(scores) != len(case.choices):
        return Grade(state=GradeState.ERROR, note="The choices have no scores.")
    expected = {choice_named(target, case) for target in case.targets} - {None}
    if not expected:
        return Grade(state=GradeState.ERROR, note="The target is none of the choices.")
    columns = {}
    for name, per_byte in (("by sum", False), ("per byte", True)):
        place = likeliest(scores, per_byte=per_byte)
        columns[name] = Column(case.choices[place], float(place in expected))
    how = "per byte" if case.grader.options.get("by") == "byte" else "by sum"
    chosen = columns[how]
    return Grade(
        state=GradeState.GRADED, score=chosen.score, value=chosen.value, how=how, columns=columns
    )


def choice_named(target: str, case: Case) -> int | None:
    """Return the place of the choice that a target names, by its text or else by its letter."""
    texts = [folded(choice) for choice in case.choices]
    if folded(target) in texts:
        return texts.index(folded(target))
    name = target.strip(" ().").upper()
    if len(name) == 1 and name in LETTERS[: len(texts)]:
        return LETTERS.index(name)
    return None
