"""Graders that compare texts: `exact`, the three of `contains`, and `f1`."""

from __future__ import annotations

import re
import string
from collections import Counter

import msgspec

from playground.evaluation.case import Case
from playground.evaluation.grade import Column, Grade
from playground.evaluation.graders.found import (
    NO_ANSWER,
    folded,
    graded,
    nfkc,
    number_option,
    option,
    targets,
)

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact(output: str, case: Case) -> Grade:
    """Compare the whole output with the targets, both in NFKC and stripped.

    The option `case` is "match", or "ignore" where "paris" is as good as "Paris".
    """
    form = folded if option(case, "case", "match", ("match", "ignore")) == "ignore" else nfkc
    value = nfkc(output)
    expected = [form(target) for target in targets(case)]
    return graded(form(output) in expected, value, "whole output") if value else NO_ANSWER


def contains(output: str, case: Case) -> Grade:
    """Look for any of the targets in the output, whatever their case."""
    text = folded(output)
    for target in targets(case):
        if folded(target) in text:
            return graded(True, target, "found", _place(output, target))
    return graded(False, "", "not found") if text else NO_ANSWER


def contains_all(output: str, case: Case) -> Grade:
    """Look for every target in the output, whatever their case."""
    text = folded(output)
    missing = [target for target in targets(case) if folded(target) not in text]
    if not text:
        return NO_ANSWER
    found = [target for target in case.targets if target not in missing]
    note = f"Missing: {', '.join(missing)}." if missing else ""
    return graded(not missing, "|".join(found), "not found" if missing else "found", note=note)


def not_contains(output: str, case: Case) -> Grade:
    """Make sure that none of the targets is in the output, whatever their case."""
    text = folded(output)
    for target in targets(case):
        if folded(target) in text:
            return graded(False, target, "found", _place(output, target))
    return graded(True, "", "not found") if text else NO_ANSWER


def f1(output: str, case: Case) -> Grade:
    """Compare tokens as SQuAD does: right from the option `threshold` on (0.5).

    The column "flexible" holds the F1 itself, the best over the targets (Rajpurkar et al. 2016,
    arXiv 1606.05250: lower case, without punctuation and articles).
    """
    threshold = number_option(case, "threshold", 0.5, most=1)
    expected = [_tokens(target) for target in targets(case)]
    found = _tokens(output)
    if not found:
        return NO_ANSWER
    best = max(_f1(found, tokens) for tokens in expected)
    grade = graded(best >= threshold, " ".join(found), f"F1 {best:.2f}")
    return msgspec.structs.replace(grade, columns={"flexible": Column(grade.value, best)})


def _tokens(text: str) -> list[str]:
    plain = nfkc(text).lower().translate(_PUNCTUATION)
    return _ARTICLES.sub(" ", plain).split()


def _f1(found: list[str], expected: list[str]) -> float:
    same = sum((Counter(found) & Counter(expected)).values())
    return 2 * same / (len(found) + len(expected)) if same else 0.0


def _place(output: str, target: str) -> tuple[int, int] | None:
    """Return where a target stands as it is written, whatever its case."""
    match = re.search(re.escape(target.strip()), output, re.IGNORECASE)
    return match.span() if match else None
