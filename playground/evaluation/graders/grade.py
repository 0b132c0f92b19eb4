"""Grades an output by the grader of its case."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction

import regex

from playground.evaluation.case import Case, GraderKind
from playground.evaluation.grade import Grade, GradeState
from playground.evaluation.graders.answers import (
    MOST_CHARACTERS,
    after_marker,
    normal,
    number_in,
    number_of,
)
from playground.evaluation.graders.benchmarks import bbh_normal, gsm8k_normal
from playground.evaluation.graders.choice import LETTERS, is_choice
from playground.evaluation.graders.structured import json_in, schema_problem

#: Seconds that a pattern may take, and its characters.
_PATTERN_S = 1.0
_PATTERN_CHARACTERS = 10_000
_CUT = ("length", "context full")
_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s*")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def grade(output: str, case: Case, stop_reason: str = "") -> Grade:
    """Grade an output. `stop_reason` is that of Answer: an output that was cut may lack its answer.

    A case that a person, another model or likelihoods grade is an error here.
    """
    grader = _GRADERS.get(case.grader.kind)
    if grader is None:
        return _error(f"The grader {case.grader.kind} is not one of texts.")
    if not case.targets:
        return _error("The case has no target.")
    found = grader(output[:MOST_CHARACTERS], case)
    cut = stop_reason in _CUT
    unsure = found.state is GradeState.NO_ANSWER or found.how == "last number"
    if cut and found.state is not GradeState.ERROR and (unsure or found.how == "whole text"):
        if found.score == 1.0 and found.how == "whole text":
            return found
        return Grade(state=GradeState.HIT_LIMIT, score=0.0, value=found.value, span=found.span)
    return found


def _exact(output: str, case: Case) -> Grade:
    keep = case.grader.options.get("case", "keep") == "keep"
    value = _plain(output, keep_case=keep)
    right = value in {_plain(target, keep_case=keep) for target in case.targets}
    return _graded(right, value, "whole text")


def _contains(output: str, case: Case) -> Grade:
    return _found_in(output, case, any)


def _contains_all(output: str, case: Case) -> Grade:
    return _found_in(output, case, all)


def _found_in(output: str, case: Case, enough: Callable[[list[bool]], bool]) -> Grade:
    text = _folded(output)
    targets = [_folded(target) for target in case.targets]
    there = [target in text for target in targets]
    value = ", ".join(t for t, found in zip(case.targets, there, strict=True) if found)
    first = next((t for t, found in zip(targets, there, strict=True) if found), "")
    at = output.casefold().find(first) if first else -1
    span = (at, at + len(first)) if at >= 0 else None
    return _graded(enough(there), value, "whole text", span)


def _not_contains(output: str, case: Case) -> Grade:
    text = _folded(output)
    there = [target for target in case.targets if _folded(target) in text]
    return _graded(not there, ", ".join(there), "contained")


def _regex(output: str, case: Case) -> Grade:
    pattern = case.targets[0]
    if len(pattern) > _PATTERN_CHARACTERS:
        return _error(f"The pattern has more than {_PATTERN_CHARACTERS:,} characters.")
    try:
        match = regex.search(pattern, output, timeout=_PATTERN_S)
    except regex.error as error:
        return _error(f"The pattern is not valid: {error}.")
    except TimeoutError:
        return _error(f"The pattern took longer than {_PATTERN_S:.0f} s.")
    if match is None:
        return Grade(state=GradeState.NO_ANSWER, score=0.0)
    group = 1 if match.re.groups and match[1] is not None else 0
    return _graded(True, match[group], "pattern", match.span(group))


def _number(output: str, case: Case) -> Grade:
    found = number_in(normal(output))
    if found is None:
        return Grade(state=GradeState.NO_ANSWER, score=0.0)
    try:
        tolerance = Fraction(case.grader.options.get("tolerance", "0"))
    except (ValueError, ZeroDivisionError):
        return _error("The tolerance is no number.")
    expected = [number_of(target) for target in case.targets]
    value = Fraction(found.text)
    right = any(one is not None and abs(value - one) <= tolerance for one in expected)
    return _graded(right, found.text, found.how, _place(output, found.span))


def _letter(output: str, case: Case) -> Grade:
    text = normal(output)
    marked = after_marker(text)
    part, start = marked if marked is not None else (text, 0)
    letters = LETTERS[: len(case.choices)] if case.choices else LETTERS
    match = re.search(rf"\(([{letters}])\)|(?<![\w'’])([{letters}])(?![\w'’])", part)
    if match is not None:
        letter = match[1] or match[2]
        low, high = match.span()
        return _graded(
            _is_letter(letter, case),
            letter,
            "marked" if marked is not None else "first letter",
            _place(output, (start + low, start + high)),
        )
    named = [n for n, choice in enumerate(case.choices) if _folded(choice) in _folded(part)]
    if len(named) == 1:
        return _graded(is_choice(case, named[0]), LETTERS[named[0]], "choice's text")
    return Grade(state=GradeState.NO_ANSWER, score=0.0)


def _is_letter(letter: str, case: Case) -> bool:
    place = LETTERS.index(letter)
    if place < len(case.choices):
        return is_choice(case, place)
    return any(target.strip().strip("()").upper() == letter for target in case.targets)


def _list(output: str, case: Case) -> Grade:
    any_order = case.grader.options.get("order", "keep") == "any"
    text = normal(output)
    marked = after_marker(text)
    part = (marked[0] if marked is not None else text).strip()
    items = _items(part)
    if not items:
        return Grade(state=GradeState.NO_ANSWER, score=0.0)
    expected = [_items(target) for target in case.targets]
    right = any(sorted(items) == sorted(one) if any_order else items == one for one in expected)
    return _graded(right, ", ".join(items), "marked" if marked is not None else "whole text")


def _items(text: str) -> list[str]:
    """Return the items of a list: a line each, or separated by commas or semicolons."""
    lines = [_ITEM.sub("", line) for line in text.splitlines() if line.strip()]
    parts = lines if len(lines) > 1 else re.split(r"[,;]", lines[0] if lines else "")
    return [item for part in parts if (item := _folded(part).strip(" .,;\"'“”‘’"))]


def _json(output: str, case: Case) -> Grade:
    found = json_in(output)
    if found is None:
        return Grade(state=GradeState.NO_ANSWER, score=0.0, note="There is no JSON.")
    value, span = found
    try:
        problem = schema_problem(value, case.schema or case.targets[0])
    except ValueError as error:
        return _error(str(error))
    return Grade(
        state=GradeState.GRADED,
        score=float(not problem),
        value=output[span[0] : span[1]],
        how="first JSON",
        span=span,
        note=problem,
    )


def _f1(output: str, case: Case) -> Grade:
    try:
        threshold = float(case.grader.options.get("threshold", "0.5"))
    except ValueError:
        return _error("The threshold is no number.")
    best = max(f1(output, target) for target in case.targets)
    return Grade(
        state=GradeState.GRADED,
        score=float(best >= threshold),
        value=f"{best:.3f}",
        how="token F1",
    )


def f1(output: str, target: str) -> float:
    """Return the F1 of the common words (Rajpurkar et al. 2016, SQuAD, arXiv 1606.05250)."""
    found, expected = _squad(output), _squad(target)
    if not found or not expected:
        return float(found == expected)
    common = sum((Counter(found) & Counter(expected)).values())
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(expected)
    return 2 * precision * recall / (precision + recall)


def _squad(text: str) -> list[str]:
    text = "".join(c for c in text.lower() if not unicodedata.category(c).startswith("P"))
    return _ARTICLES.sub(" ", text).split()


def _gsm8k(output: str, case: Case) -> Grade:
    scored, found = gsm8k_normal(output, case.targets[0])
    if found is None:
        return Grade(state=GradeState.NO_ANSWER, score=0.0)
    return _graded(scored.score == 1.0, found.text, found.how, _place(output, found.span))


def _bbh(output: str, case: Case) -> Grade:
    scored, found = bbh_normal(output, case.targets[0])
    if found is None:
        return Grade(state=GradeState.NO_ANSWER, score=0.0)
    return _graded(scored.score == 1.0, found.text, found.how, _place(output, found.span))


_GRADERS: Mapping[GraderKind, Callable[[str, Case], Grade]] = {
    GraderKind.EXACT: _exact,
    GraderKind.CONTAINS: _contains,
    GraderKind.CONTAINS_ALL: _contains_all,
    GraderKind.NOT_CONTAINS: _not_contains,
    GraderKind.REGEX: _regex,
    GraderKind.NUMBER: _number,
    GraderKind.LETTER: _letter,
    GraderKind.LIST: _list,
    GraderKind.JSON: _json,
    GraderKind.F1: _f1,
    GraderKind.GSM8K: _gsm8k,
    GraderKind.BBH: _bbh,
}


def _graded(right: bool, value: str, how: str, span: tuple[int, int] | None = None) -> Grade:
    return Grade(state=GradeState.GRADED, score=float(right), value=value, how=how, span=span)


def _error(note: str) -> Grade:
    return Grade(state=GradeState.ERROR, note=note)


def _place(output: str, span: tuple[int, int]) -> tuple[int, int] | None:
    """Return a place of the normal text in the output, where that is in its normal form."""
    return span if normal(output) == output else None


def _plain(text: str, *, keep_case: bool) -> str:
    text = unicodedata.normalize("NFKC", text).strip()
    return text if keep_case else text.casefold()


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
