"""Stop strings as the user types them: separated by bars, with escapes."""

from __future__ import annotations

from collections.abc import Sequence


def parse_stops(text: str) -> tuple[str, ...]:
    r"""Return the stop strings between unescaped bars, with \n, \t, \s, \| and \\ replaced.

    Spaces around a stop string are not part of it, unless they are written as \s.
    """
    escapes = {"n": "\n", "t": "\t", "s": " "}
    found: list[str] = []
    for piece in _split(text):
        result, rest = "", iter(piece.strip())
        for char in rest:
            if char == "\\":
                following = next(rest, "\\")
                result += escapes.get(following, following)
            else:
                result += char
        if result:
            found.append(result)
    return tuple(found)


def format_stops(stops: Sequence[str]) -> str:
    """Return the text that `parse_stops` reads as `stops`."""
    shown = []
    for stop in stops:
        text = stop.replace("\\", "\\\\").replace("|", "\\|")
        text = text.replace("\n", "\\n").replace("\t", "\\t")
        inner = text.strip(" ")
        left = len(text) - len(text.lstrip(" "))
        right = len(text) - len(inner) - left
        shown.append("\\s" * left + inner + "\\s" * right)
    return " | ".join(shown)


def _split(text: str) -> list[str]:
    pieces, escaped = [""], False
    for char in text:
        if char == "|" and not escaped:
            pieces.append("")
            continue
        pieces[-1] += char
        escaped = char == "\\" and not escaped
    return pieces
