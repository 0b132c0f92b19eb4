"""Finds stop strings in a stream of text."""

from __future__ import annotations

from collections.abc import Sequence


class StopFilter:
    """Passes text on up to the first stop string; holds back only what may begin one.

    Special tokens are no part of the text, but stop strings are looked for in both.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._longest = max(map(len, self._stops), default=0)
        self._withheld = ""
        self._visible: list[bool] = []  # of each character that is withheld
        self.stopped = False

    def mentions(self, special: str) -> bool:
        """Return whether a stop string can contain or begin in a special token's text."""
        return any(special in stop or stop in special for stop in self._stops)

    def feed(self, piece: str, *, special: bool = False) -> str:
        """Return the text that is certain; set `stopped` once a stop string is complete.

        `special`: the piece is the text of a special token, which is never returned.
        """
        if not self._stops:
            return "" if special else piece
        if self.stopped or not piece:
            return ""
        text = self._withheld + piece
        self._visible += [not special] * len(piece)
        ends = [at for at in (text.find(stop) for stop in self._stops) if at >= 0]
        if ends:
            self.stopped = True
            return self._passed(text, min(ends), kept="")
        length = len(text) - self._possible_start(text)
        return self._passed(text, length, kept=text[length:])

    def flush(self) -> str:
        """Return what was held back for a stop string that did not come."""
        return self._passed(self._withheld, len(self._withheld), kept="")

    def _passed(self, text: str, length: int, kept: str) -> str:
        shown = "".join(c for c, seen in zip(text[:length], self._visible, strict=False) if seen)
        self._withheld = kept
        self._visible = self._visible[length : length + len(kept)]
        return shown

    def _possible_start(self, text: str) -> int:
        for length in range(min(len(text), self._longest - 1), 0, -1):
            end = text[-length:]
            if any(stop.startswith(end) for stop in self._stops):
                return length
        return 0
