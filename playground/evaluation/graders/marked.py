"""Where an output states its answer: after "answer is", "answer:" or "####"."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: A denied answer ("the answer is not 5 but 6") states none.
_MARKER = re.compile(
    r"\banswer[*_`\"']*\s{0,3}(?::|is\b(?!\s+not\b)[^\S\n]*:?)|####", re.IGNORECASE
)
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")


def stated(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of stated answers, the last one first.

    Each begins after its marker and ends before a blank line or the next marker.
    """
    markers = [match.span() for match in _MARKER.finditer(text)]
    following = len(text)
    for begin, end in reversed(markers):
        blank = _BLANK_LINE.search(text, end, following)
        yield end, blank.start() if blank else following
        following = begin
