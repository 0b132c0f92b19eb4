"""Output in a plain form that graders search, with the place of every character in the original."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

#: Joins a whole number and a fraction that belong together: 3½ (U+2064, invisible plus).
MIXED = "\u2064"
_DASHES = {"\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2212": "-"}
_SLASHES = {"\u2044": "/", "\u2215": "/"}
_ALONE = {**_DASHES, **_SLASHES}
_DEPTH = 8  # nested commands of LaTeX that are unwrapped

#: A piece of a replacement: text of its own, or a part of the replaced text by its places.
Piece = str | tuple[int, int]


@dataclass(frozen=True)
class Readable:
    """`text`, and for each of its characters the index in the original that it comes from."""

    text: str
    origins: Sequence[int]

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """Return the place of text[begin:end] in the original; it must not be empty."""
        return self.origins[begin], self.origins[end - 1] + 1

    def replaced(
        self, pattern: re.Pattern[str], pieces: Callable[[re.Match[str]], Sequence[Piece]]
    ) -> Readable:
        """Return it with every match replaced by the pieces of that match."""
        text: list[str] = []
        origins: list[int] = []
        done = 0
        for match in pattern.finditer(self.text):
            for piece in ((done, match.start()), *pieces(match)):
                if isinstance(piece, str):
                    text.append(piece)
                    origins.extend([self.origins[match.start()]] * len(piece))
                else:
                    text.append(self.text[slice(*piece)])
                    origins.extend(self.origins[slice(*piece)])
            done = match.end()
        if not done:
            return self
        return Readable("".join((*text, self.text[done:])), [*origins, *self.origins[done:]])


def readable(output: str) -> Readable:
    """Return an output in NFKC, with plain minus signs, and without markup around its words.

    LaTeX's \\boxed, \\text and \\frac, its spaces and escapes, and Markdown's bold are unwrapped.
    A superscript digit becomes "^2", so that it is not taken for a digit of the number before.
    """
    found = _compatible(output)
    if "\\" in found.text or "{" in found.text:
        found = _without_latex(found)
    if "**" in found.text or "__" in found.text:
        found = found.replaced(_POWER, lambda _: ("^",)).replaced(_BOLD, lambda _: ())
    return found


def _compatible(output: str) -> Readable:
    """Return NFKC of every character by itself, so that its place stays known."""
    if output.isascii():
        return Readable(output, range(len(output)))
    text: list[str] = []
    origins: list[int] = []
    raised = False  # the last character was a superscript
    for index, char in enumerate(output):
        plain, raised = (char, False) if char.isascii() else _plain(char, text, raised)
        text.append(plain)
        origins.extend([index] * len(plain))
    return Readable("".join(text), origins)


def _plain(char: str, before: Sequence[str], raised: bool) -> tuple[str, bool]:
    """Return a character's plain form, and whether it is a superscript."""
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit), False
    if unicodedata.category(char) == "Cf":  # invisible: joiners, marks of direction
        return "", raised
    plain = "".join(_ALONE.get(c, c) for c in unicodedata.normalize("NFKC", char))
    kind = unicodedata.decomposition(char).partition(" ")[0]
    if kind == "<super>" and plain[:1] in "0123456789+-":
        return (plain if raised else f"^{plain}"), True
    if kind == "<fraction>" and before and before[-1][-1:].isdigit():
        plain = MIXED + plain
    return plain, False


_POWER = re.compile(r"(?<=[0-9])\*\*(?=[0-9])")
_BOLD = re.compile(r"\*\*|__")
_ESCAPED = re.compile(r"\\([$%#&])")
_COMMA = re.compile(r"\{,\}")
_NARROW = re.compile(r"\\(?:[,!]|left\b|right\b|displaystyle\b)")
_WIDE = re.compile(r"\\[;: ()\[\]]|\\q?quad\b")
_TIMES = re.compile(r"\\(?:times|cdot)\b")
_MINUS = re.compile(r"\\text(?:minus|endash)\b")
_COMMAND = re.compile(r"\\(?:f?boxed|fbox|mbox|text[a-z]*|math[a-z]+|operatorname)\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{([^{}]*)\}|([0-9]))\s*(?:\{([^{}]*)\}|([0-9]))")
_RAISED = re.compile(r"([\^_])\{([^{}]*)\}")


def _without_latex(found: Readable) -> Readable:
    for pattern, text in ((_COMMA, ","), (_NARROW, ""), (_WIDE, " "), (_TIMES, "×"), (_MINUS, "-")):
        found = found.replaced(pattern, lambda _, text=text: (text,))  # type: ignore[misc]
    found = found.replaced(_ESCAPED, lambda m: (m.span(1),))
    for _ in range(_DEPTH):
        before = found
        found = found.replaced(_COMMAND, lambda m: (m.span(1),))
        found = found.replaced(_RAISED, lambda m: (m.span(1), m.span(2)))
        found = found.replaced(_FRACTION, lambda m: tuple(_fraction(m)))
        if found is before:
            break
    return found


def _fraction(match: re.Match[str]) -> Iterator[Piece]:
    if match.string[max(0, match.start() - 1) : match.start()].isdigit():
        yield MIXED
    yield match.span(1 if match[1] is not None else 2)
    yield "/"
    yield match.span(3 if match[3] is not None else 4)
