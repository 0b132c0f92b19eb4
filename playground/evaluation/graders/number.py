"""`number`: the number that an output gives as its answer, compared as a fraction."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from playground.evaluation.case import Case
from playground.evaluation.grade import Grade
from playground.evaluation.graders.found import (
    NO_ANSWER,
    RefusedCaseError,
    graded,
    nfkc,
    option,
    quoted,
    targets,
)
from playground.evaluation.graders.marked import stated
from playground.evaluation.graders.readable import MIXED, readable

#: Digits, and powers of ten, beyond which a number is not read.
_LONGEST = 400
#: Numbers at an output's end of which the last one that can be read is taken.
_LAST = 20

# Thousands as in 1,234,567, or as in India 12,34,567. The bounds keep the search linear.
_WHOLE = r"(?:[0-9]{1,3}(?:(?:,[0-9]{3}){1,130}|(?:,[0-9]{2}){1,9},[0-9]{3})(?![0-9])|[0-9]+)"
_MAGNITUDE = rf"(?:{_WHOLE}(?:\.[0-9]+)?|(?<![0-9.])\.[0-9]+)"
_NUMBER = re.compile(
    r"(?P<sign>[-+] ?)?(?:(?P<money>[$€£¥₹]\s?)(?P<late>[-+])?)?"
    # Neither the rest of a number, nor a power, nor an index.
    r"(?<![0-9^])(?<!\^[-+])(?<![A-Za-z]_)"
    rf"(?P<size>{_MAGNITUDE})"
    rf"(?:{MIXED}(?P<part>[0-9]+)/(?P<of>[0-9]+)"
    rf"|/(?P<under>[-+]?{_MAGNITUDE})(?![0-9]|/[0-9])"
    r"|[eE](?P<power>[-+]?[0-9]{1,4})(?![0-9A-Za-z])"
    r"|\s?[×x*·⋅]\s?10\^\(?(?P<ten>[-+]?[0-9]{1,4})(?![0-9.]))?"
)
_BEFORE_SIGN = re.compile(r"[=:(] ?$")
#: What ends in this makes a minus after it an operator: "20-5", "x-5".
_OPERAND = re.compile(r"[\w)\]}%]$")


@dataclass(frozen=True)
class Number:
    """A number, its place in the output, and how it was found: "marked" or "last number"."""

    value: Fraction
    span: tuple[int, int]
    how: str


def number(output: str, case: Case) -> Grade:
    """Compare the number found with the targets' numbers.

    The option `tolerance` is the largest difference that is still right: "0.01", or "1%" of the
    target. Percent signs and units are ignored. Targets without a number, as in 2|two, are words
    that the stated answer may begin with.
    """
    read = {target: target_number(target) for target in targets(case)}
    expected = [value for value in read.values() if value is not None]
    words = [target for target, value in read.items() if value is None]
    if not expected:
        raise RefusedCaseError(f"The target {quoted(words[0])} has no number.")
    tolerance = option(case, "tolerance", "0").replace(" ", "")
    relative = tolerance.endswith("%")
    if not is_number(tolerance.rstrip("%")) or tolerance.startswith("-"):
        raise RefusedCaseError(
            f"The option tolerance of number is {quoted(tolerance)}, not a number such as 0.01 "
            "or a share such as 1%."
        )
    allowed = target_number(tolerance) or Fraction(0)
    if words and (stated_word := _stated_word(output, words)):
        return stated_word
    found = find_number(output)
    if found is None:
        return NO_ANSWER
    right = any(
        abs(found.value - target) <= (allowed / 100 * abs(target) if relative else allowed)
        for target in expected
    )
    return graded(right, str(found.value), found.how, found.span)


def _stated_word(output: str, words: Sequence[str]) -> Grade | None:
    """Return a right grade where the last stated answer begins with one of the words."""
    found = readable(output)
    begin, end = next(stated(found.text), (0, 0))
    for word in words:
        pattern = re.compile(rf"\W*({re.escape(nfkc(word))})\b", re.IGNORECASE)
        if match := pattern.match(found.text, begin, end):
            return graded(True, word, "marked", found.span(*match.span(1)))
    return None


def find_number(output: str) -> Number | None:
    """Return the first number of the last stated answer that has one, else the last number."""
    found = readable(output)
    for begin, end in stated(found.text):
        if first := _first(_NUMBER.finditer(found.text, begin, end), begin):
            return Number(first.value, found.span(first.begin, first.end), "marked")
    if last := _first(reversed(deque(_NUMBER.finditer(found.text), _LAST))):
        return Number(last.value, found.span(last.begin, last.end), "last number")
    return None


def target_number(target: str) -> Fraction | None:
    """Return the number that a target states, else its first number; None where it has none."""
    text = readable(target).text.strip()
    for begin, end in (*stated(text), (0, len(text))):
        if first := _first(_NUMBER.finditer(text, begin, end), begin):
            return first.value
    return None


def is_number(text: str) -> bool:
    """Whether a text is a number and nothing else."""
    match = _NUMBER.fullmatch(readable(text).text.strip())
    return match is not None and _read(match, 0) is not None


@dataclass(frozen=True)
class _Read:
    value: Fraction
    begin: int
    end: int


def _first(matches: Iterable[re.Match[str]], begin: int | None = None) -> _Read | None:
    """Return the first match that can be read; `begin` is where the answer begins, if known."""
    return next((read for match in matches if (read := _read(match, begin))), None)


def _read(match: re.Match[str], begin: int | None) -> _Read | None:
    """Return a match's value and its place; None where the number is too long to be read."""
    groups = match.groupdict()
    power = int(groups["power"] or groups["ten"] or 0)
    if abs(power) > _LONGEST or len(match[0]) > _LONGEST:
        return None
    value = _magnitude(groups["size"]) * Fraction(10) ** power
    if groups["part"] and int(groups["of"]):
        value += Fraction(int(groups["part"]), int(groups["of"]))
    if groups["under"] and (under := _magnitude(groups["under"])):
        value /= under
    start = match.start("late" if groups["late"] else "size")
    negative = groups["late"] == "-"
    if groups["sign"] and _is_sign(match, begin):
        negative = groups["sign"][0] == "-"
        start = match.start()
    return _Read(-value if negative else value, start, match.end())


def _is_sign(match: re.Match[str], begin: int | None) -> bool:
    """Whether the minus or plus before a number is its sign: no operator, dash, or bullet."""
    sign: str = match["sign"]
    before = match.string[max(begin or 0, match.start() - 8) : match.start()]
    if not sign.endswith(" "):
        return not _OPERAND.search(before)
    # A minus with a space is a sign where an answer begins, or after "=".
    begins = begin is not None and match.start() - begin < 8 and not before.strip(" $*")
    return begins or _BEFORE_SIGN.search(before) is not None


def _magnitude(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))
