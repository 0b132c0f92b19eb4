"""What graders share: the grades they give, a case's options, and what they refuse."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from playground.evaluation.case import Case
from playground.evaluation.grade import Grade, GradeState

#: Characters of a value from a case that a sentence quotes.
_QUOTED = 60

NO_ANSWER = Grade(state=GradeState.NO_ANSWER, score=0.0)


class RefusedCaseError(Exception):
    """A grader cannot use a case; the text is a sentence on why."""


def graded(
    right: bool, value: str, how: str = "", span: tuple[int, int] | None = None, note: str = ""
) -> Grade:
    """Return the grade of an answer that is right or wrong."""
    score = 1.0 if right else 0.0
    return Grade(state=GradeState.GRADED, score=score, value=value, how=how, span=span, note=note)


def targets(case: Case) -> tuple[str, ...]:
    """Return a case's targets. Raises RefusedCaseError where there is none."""
    if not any(target.strip() for target in case.targets):
        raise RefusedCaseError(f"The grader {case.grader.kind} needs a target.")
    return case.targets


def option(case: Case, name: str, default: str, allowed: Collection[str] = ()) -> str:
    """Return an option of a case's grader. Raises RefusedCaseError for one not allowed."""
    value = case.grader.options.get(name, default)
    if allowed and value not in allowed:
        raise RefusedCaseError(
            f"The option {name} of {case.grader.kind} is {quoted(value)}, "
            f"not {' or '.join(allowed)}."
        )
    return value


def number_option(case: Case, name: str, default: float, most: float) -> float:
    """Return an option that is a number from 0 to `most`. Raises RefusedCaseError."""
    text = option(case, name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        limit = f"from 0 to {most:g}" if most < float("inf") else "of 0 or more"
        raise RefusedCaseError(
            f"The option {name} of {case.grader.kind} is {quoted(text)}, not a number {limit}."
        )
    return value


def quoted(text: str) -> str:
    """Return a text in quotes, shortened."""
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…")


def nfkc(text: str) -> str:
    """Return a text in NFKC without white space around it."""
    return unicodedata.normalize("NFKC", text).strip()


def folded(text: str) -> str:
    """Return a text in NFKC, without white space around it, in which case makes no difference."""
    return nfkc(nfkc(text).casefold())
