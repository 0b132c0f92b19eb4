"""The text that a scripted engine streams, token by token."""

from __future__ import annotations

STYLES = ("prose", "one-line", "emoji", "html", "hostile")

_PROSE = (
    " the", " old", " house", " stood", " at", " the", " end", " of", " a", " lane", ",",
    " and", " no", "body", " had", " lived", " there", " for", " many", " years", ".",
    " When", " the", " wind", " came", " from", " the", " sea", " its", " shutters", " moved",
    " as", " if", " some", "one", " were", " looking", " out", ".", " The", " children", " ran",
    " past", " it", " without", " a", " word", ".\n",
)  # fmt: skip
_EMOJI = (" 👩‍👩‍👧‍👦", " naïve", " 漢字", " 🏳️‍🌈", " עברית", " 😀", " é", "\n")
_HTML = (" <b>", "bold", "</b>", " <img src=x onerror=1>", " &amp;", " <script>", "\n")
_HOSTILE = (" a\x00b", " \u202ereversed", " \u200b", " \ufffd", " \x1b[31m", " \r", "\t", "\n")


def piece(style: str, index: int) -> str:
    """Return the text of token number `index` (from 0) in one of STYLES."""
    if style == "one-line":
        return _PROSE[index % (len(_PROSE) - 1)]
    pieces = {"emoji": _EMOJI, "html": _HTML, "hostile": _HOSTILE}.get(style, _PROSE)
    return pieces[index % len(pieces)]
