"""Finds the answer in an output: its normal form, the place after the last marker, numbers."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

#: Characters of an output that are looked at; an answer of a model is never longer.
MOST_CHARACTERS = 1_000_000
_MARKER = re.compile(r"answer\s+is\b\s*:?|answer\s*:|####", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_WRAPPED = re.compile(r"\\(?:boxed|text|textbf|mathrm|mathbf|fbox)\s*\{([^{}]*)\}")
_MARKS = str.maketrans({"\u2212": "-", "\u2013": "-", "\u2012": "-", "\u2044": "/"})
#: Markup that stands around an answer and says nothing.
_MARKUP = re.compile(r"\*\*|\\[()\[\]]|\\[,;!]|`")
_DEEPEST = 20  # \boxed in \boxed
_INTEGER = r"(?:\d{1,3}(?:,\d{3})+(?![\d,]*\d)|\d{1,400}(?!\d))"
_NUMBER = re.compile(
    rf"(?<![\w.])(?P<sign>(?<![\d)\]])[-+]\s?)?[$€£]?\s?(?P<inner>[-+])?"
    rf"(?:(?P<over>{_INTEGER})\s?/\s?(?P<under>\d{{1,400}}(?!\d))"
    rf"|(?P<whole>{_INTEGER})?(?P<part>\.\d{{1,400}})?(?P<power>[eE][-+]?\d{{1,3}}(?!\d))?)"
)


@dataclass(frozen=True)
class Found:
    """An answer and its place in the text; `how` names the way that found it."""

    text: str
    how: str
    span: tuple[int, int]


def normal(text: str) -> str:
    """Return a text in its normal form: NFKC, without markup, one kind of minus.

    LaTeX's boxes and texts are unwrapped, and its fractions written a/b.
    """
    text = unicodedata.normalize("NFKC", text[:MOST_CHARACTERS]).translate(_MARKS)
    text = _MARKUP.sub("", text)
    for _ in range(_DEEPEST):
        shorter = _WRAPPED.sub(r"\1", _FRACTION.sub(r"\1/\2", text))
        if shorter == text:
            break
        text = shorter
    return text


def after_marker(text: str) -> tuple[str, int] | None:
    """Return what follows the last marker up to a blank line, and where; None without a marker."""
    markers = list(_MARKER.finditer(text))
    if not markers:
        return None
    start = markers[-1].end()
    blank = _BLANK_LINE.search(text, start)
    return text[start : blank.start() if blank else len(text)], start


def numbers(text: str) -> list[tuple[Fraction, tuple[int, int]]]:
    """Return the numbers of a text with their places.

    They may have thousands commas, a currency sign, an exponent, or be a/b. A minus that follows a
    digit is a subtraction.
    """
    found = []
    for match in _NUMBER.finditer(text):
        value = _value(match)
        if value is not None:
            found.append((value, match.span()))
    return found


def number_in(text: str) -> Found | None:
    """Return the answer of a normal text: the first number after the last marker, else the last.

    The `how` of the second is "last number".
    """
    marked = after_marker(text)
    if marked is not None:
        part, start = marked
        for value, (low, high) in numbers(part)[:1]:
            return Found(str(value), "marked", (start + low, start + high))
    for value, span in numbers(text)[-1:]:
        return Found(str(value), "last number", span)
    return None


def number_of(text: str) -> Fraction | None:
    """Return the only number that a target is, None where it is none."""
    found = numbers(normal(text))
    return found[0][0] if found else None


def _value(match: re.Match[str]) -> Fraction | None:
    negative = "-" in (match["sign"] or "") or match["inner"] == "-"
    try:
        if match["over"]:
            value = Fraction(_digits(match["over"]), _digits(match["under"]))
        elif match["whole"] or match["part"]:
            whole = str(_digits(match["whole"])) if match["whole"] else "0"
            value = Fraction(whole + (match["part"] or "") + (match["power"] or ""))
        else:
            return None
    except (ValueError, ZeroDivisionError):
        return None
    return -value if negative else value


def _digits(text: str) -> int:
    return int(text.replace(",", ""))
