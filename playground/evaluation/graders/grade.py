"""Grades an output: the one entry to all graders."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from playground.evaluation.case import Case, GraderKind
from playground.evaluation.grade import Grade, GradeState
from playground.evaluation.graders.benchmarks import bbh, gsm8k
from playground.evaluation.graders.choice import choice_named
from playground.evaluation.graders.found import RefusedCaseError, quoted
from playground.evaluation.graders.items import list_items
from playground.evaluation.graders.json_answer import json_answer
from playground.evaluation.graders.letter import letter
from playground.evaluation.graders.number import number
from playground.evaluation.graders.pattern import regex_match
from playground.evaluation.graders.words import contains, contains_all, exact, f1, not_contains

#: Characters of an output that are graded.
LONGEST = 1_000_000
#: The stop reasons of an output that was cut: by its own limit, or by the context's.
CUT = ("length", "context full")

#: Each grader with the options it takes.
GRADERS: dict[GraderKind, tuple[Callable[[str, Case], Grade], frozenset[str]]] = {
    GraderKind.EXACT: (exact, frozenset({"case"})),
    GraderKind.CONTAINS: (contains, frozenset()),
    GraderKind.CONTAINS_ALL: (contains_all, frozenset()),
    GraderKind.NOT_CONTAINS: (not_contains, frozenset()),
    GraderKind.REGEX: (regex_match, frozenset({"case", "pattern"})),
    GraderKind.NUMBER: (number, frozenset({"tolerance"})),
    GraderKind.LETTER: (letter, frozenset()),
    GraderKind.LIST: (list_items, frozenset({"order", "separator"})),
    GraderKind.JSON: (json_answer, frozenset()),
    GraderKind.F1: (f1, frozenset({"threshold"})),
    GraderKind.GSM8K: (gsm8k, frozenset({"tolerance"})),
    GraderKind.BBH: (bbh, frozenset()),
}
#: The ways of finding an answer that take what looks like one: not in an output that was cut.
_GUESSED = ("last number", "last letter", "last line")


def grade(output: str, case: Case, stop_reason: str = "") -> Grade:
    """Return the grade of an output; `stop_reason` is that of Answer.

    Nothing is raised: a case that its grader cannot use, and an output too long to be graded,
    have the state "error" with a sentence; so have `choice`, `judge` and `human`, which are not
    graded by the text alone.
    """
    kind = case.grader.kind
    if kind not in GRADERS:
        return _error(f"The grader {kind} is not one of texts.")
    if len(output) > LONGEST:
        return _error(f"The output has more than {LONGEST:,} characters.")
    grader, options = GRADERS[kind]
    try:
        if unknown := sorted(set(case.grader.options) - options):
            raise RefusedCaseError(_unknown_option(kind, unknown[0], options))
        found = grader(output, case)
    except RefusedCaseError as error:
        return _error(str(error))
    return _of_a_cut_output(found) if stop_reason in CUT else found


def case_problem(case: Case) -> str:
    """Return why a grader cannot use a case, "" where it can; before a model is asked."""
    if case.grader.kind is GraderKind.CHOICE:
        named = any(choice_named(target, case) is not None for target in case.targets)
        return "" if named else "The target is none of the choices."
    if case.grader.kind not in GRADERS:
        return ""
    found = grade("", case)
    return found.note if found.state is GradeState.ERROR else ""


def _of_a_cut_output(found: Grade) -> Grade:
    """Return "hit the limit" unless the answer was there: stated, or right by more than a guess."""
    there = found.how == "marked" or (found.score == 1.0 and found.how not in _GUESSED)
    if there or found.score is None:
        return found
    return msgspec.structs.replace(found, state=GradeState.HIT_LIMIT, score=0.0)


def _error(note: str) -> Grade:
    return Grade(state=GradeState.ERROR, note=note)


def _unknown_option(kind: GraderKind, name: str, allowed: frozenset[str]) -> str:
    takes = f"it takes {' and '.join(sorted(allowed))}" if allowed else "it takes none"
    return f"The grader {kind} has no option {quoted(name)}; {takes}."
