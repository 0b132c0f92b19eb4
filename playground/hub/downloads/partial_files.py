"""The unfinished files of a download, which the Hub's library leaves behind when it is killed.

Their names are random, and another program may be downloading the same model: so that the
right ones are removed, the downloading process notes each before it is opened.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

SUFFIX = ".incomplete"


class PartialFiles:
    """Notes every unfinished file that this process opens, and tells `tell` beforehand."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._paths: dict[str, None] = {}
        self._closed = False

    def watch(self) -> None:
        """Begin; a process cannot stop watching again."""
        sys.addaudithook(self._hook)

    def bytes_written(self) -> int:
        """Bytes in those that are there now."""
        return sum(_size(path) for path in tuple(self._paths))

    def remove_all(self) -> None:
        """Remove them, and let none be opened any more."""
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
        self._tell(path)


def remove(paths: Iterable[str]) -> None:
    """Remove unfinished files; what is gone already is well."""
    for path in paths:
        if path.endswith(SUFFIX):
            with contextlib.suppress(OSError):
                Path(path).unlink()


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
