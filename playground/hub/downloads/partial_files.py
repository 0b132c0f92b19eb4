"""Finds and removes the unfinished files that the Hub's library leaves when it is killed.

Their names are random, and another program may be downloading the same model. To remove only our
own, the downloading process reports each file before it opens it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

SUFFIX = ".incomplete"


class PartialFiles:
    """Records each unfinished file that this process opens; calls `opening` with its path first."""

    def __init__(self, opening: Callable[[str], None]) -> None:
        self._opening = opening
        self._paths: dict[str, None] = {}
        self._closed = False

    def watch(self) -> None:
        """Begin; a process cannot stop watching."""
        sys.addaudithook(self._hook)

    def bytes_written(self) -> int:
        """Return the bytes in those that exist now."""
        return sum(_size(path) for path in tuple(self._paths))

    def remove_all(self) -> None:
        """Remove them, and refuse to open any more."""
        self._closed = True
        remove(tuple(self._paths))

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | os.PathLike):
            return
        path = os.fspath(arguments[0])
        if not isinstance(path, str) or not path.endswith(SUFFIX) or path in self._paths:
            return
        if self._closed:
            raise PermissionError("The download is over.")
        self._paths[path] = None
        self._opening(path)


def remove(paths: Iterable[str]) -> None:
    """Remove unfinished files; ignore those that are gone."""
    for path in paths:
        if path.endswith(SUFFIX):
            with contextlib.suppress(OSError):
                Path(path).unlink()


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
