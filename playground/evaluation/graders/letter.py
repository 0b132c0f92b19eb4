"""`letter`: the letter of a choice that an output names, such as "(B)"."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from playground.evaluation.case import Case
from playground.evaluation.grade import Grade
from playground.evaluation.graders.choice import LETTERS, choice_named
from playground.evaluation.graders.found import (
    NO_ANSWER,
    RefusedCaseError,
    folded,
    graded,
    quoted,
    targets,
)
from playground.evaluation.graders.marked import stated
from playground.evaluation.graders.readable import Readable, readable

#: Letters in brackets at an output's end of which the last choice is taken.
_LAST = 20
_BRACKETED = re.compile(r"\(([A-Za-z])\)")
#: A capital by itself; "I" is a word in "I think", and "A" in "A-4" is no letter of a choice.
_LETTER = re.compile(r"\(([A-Za-z])\)|(?<![\w'’-])([A-HJ-Z]|I(?!\s+[a-z]))(?![\w'’]|-\w)")
#: The output is a letter, or begins with one as a list does: "B", "b) calm", "B. Calm".
_FIRST = re.compile(r"\s*([A-Za-z])(?=[^\S\n]*(?:\n|$)|[.)])")


@dataclass(frozen=True)
class Letter:
    """A capital letter, its place in the output, and how it was found."""

    value: str
    span: tuple[int, int]
    how: str


def letter(output: str, case: Case) -> Grade:
    """Compare the letter found with the target, a letter or the text of a choice."""
    expected = {_letter_of(target, case) for target in targets(case)}
    allowed = LETTERS[: len(case.choices) or None]
    found = find_letter(readable(output), allowed) or _only_choice(output, case)
    return graded_letter(found, expected)


def graded_letter(found: Letter | None, expected: Collection[str]) -> Grade:
    """Return the grade of a letter, or of none that was found."""
    if found is None:
        return NO_ANSWER
    return graded(found.value in expected, found.value, found.how, found.span)


def find_letter(output: Readable, allowed: str = LETTERS) -> Letter | None:
    """Return the first letter of the last stated answer that has one.

    Else the one that the output begins with, else the last one in brackets. Small letters count in
    brackets, or where they stand alone.
    """
    text = output.text

    def read(match: re.Match[str] | None, how: str) -> Letter | None:
        if match is None or match[match.lastindex or 0].upper() not in allowed:
            return None
        group = match.lastindex or 0
        return Letter(match[group].upper(), output.span(*match.span(group)), how)

    for begin, end in stated(text):
        first = _FIRST.match(text, begin, end)
        for match in (first, *_LETTER.finditer(text, begin, end)):
            if found := read(match, "marked"):
                return found
    if found := read(_FIRST.match(text), "first letter"):
        return found
    for match in reversed(deque(_BRACKETED.finditer(text), _LAST)):
        if found := read(match, "last letter"):
            return found
    return None


def is_letter(target: str) -> bool:
    """Whether a target is a choice's letter: "B" or "(B)"."""
    return re.fullmatch(r"\(?[A-Z]\)?", target.strip()) is not None


def _letter_of(target: str, case: Case) -> str:
    index = choice_named(target, case)
    if index is not None:
        return LETTERS[index]
    if re.fullmatch(r"\(?[A-Za-z]\)?", target.strip()):
        return target.strip(" ()").upper()
    raise RefusedCaseError(f"The target {quoted(target)} is neither a letter nor a choice.")


def _only_choice(output: str, case: Case) -> Letter | None:
    """Return the letter of the one choice whose text stands in the output."""
    text = folded(output)
    found = [
        i
        for i, choice in enumerate(case.choices)
        if len(folded(choice)) > 0 and folded(choice) in text
    ]
    if len(found) != 1:
        return None
    match = re.search(re.escape(case.choices[found[0]].strip()), output, re.IGNORECASE)
    span = match.span() if match else (0, len(output))
    return Letter(LETTERS[found[0]], span, "choice's text")
