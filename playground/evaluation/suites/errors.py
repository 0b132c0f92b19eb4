"""The error of a suite that cannot be read."""

from __future__ import annotations

from playground.core.errors import PlaygroundError


class SuiteError(PlaygroundError):
    """A suite's file is wrong; `line` is where, from 1, 0 for the file as a whole."""

    def __init__(self, name: str, problem: str, remedy: str = "", line: int = 0) -> None:
        place = f"{name}, line {line:,}" if line else name
        super().__init__(f"{place}: {problem}", remedy)
        self.line = line
