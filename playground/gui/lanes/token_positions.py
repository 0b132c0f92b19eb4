"""Finds an answer's tokens in the text that a view shows, and the other way round."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence


class TokenPositions:
    """Where each token's text ends, in UTF-16 units from the answer's start, as Qt counts them.

    The view shows every kind of line end as one character, and breaks long paragraphs: `breaks`
    are the positions at which blocks begin after such a break, from the answer's start.
    """

    def __init__(self) -> None:
        self._ends: list[int] = []
        self._after_cr = False

    def follow(self, texts: Sequence[str]) -> None:
        """Take the tokens that have come since the last call; `texts` are those of all."""
        end = self._ends[-1] if self._ends else 0
        for text in texts[len(self._ends) :]:
            if text:
                end += self._units(text)
            self._ends.append(end)

    def token_at(self, position: int, breaks: Sequence[int]) -> int | None:
        """Return the token of the character after a position, None where it is no token's."""
        offset = position - bisect_right(breaks, position)
        if offset < 0 or not self._ends or offset >= self._ends[-1]:
            return None
        return bisect_right(self._ends, offset)

    def span(self, token: int, breaks: Sequence[int]) -> tuple[int, int]:
        """Return where a token's text begins and ends; its length is 0 where it shows nothing."""
        begin = self._ends[token - 1] if token else 0
        end = self._ends[token]
        first = self._position(begin, breaks)
        return first, max(first, self._position(end, breaks, before=True))

    @staticmethod
    def _position(offset: int, breaks: Sequence[int], *, before: bool = False) -> int:
        """Return the position of an offset; `before`: in front of a break that lies there."""
        # The n-th break lies n characters further to the right than its offset.
        offsets = [place - number - 1 for number, place in enumerate(breaks)]
        cut = bisect_left(offsets, offset) if before else bisect_right(offsets, offset)
        return offset + cut

    def _units(self, text: str) -> int:
        if self._after_cr and text.startswith("\n"):
            text = text[1:]
        self._after_cr = text.endswith("\r")
        if text.isascii():
            return len(text) - text.count("\r\n")
        return len(text.replace("\r\n", "\n").encode("utf-16-le", "surrogatepass")) // 2
