"""Reads the playground's own files; a damaged one is set aside, and the defaults go on."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from playground.core.errors import FileError, PlaygroundError
from playground.core.system.reader import read_bytes

log = logging.getLogger(__name__)

T = TypeVar("T")
_LIMIT = 32 << 20  # bytes

#: What has been set aside since `take_notices` was called last.
_notices: list[PlaygroundError] = []
_said: set[str] = set()


def load(path: Path, decode: Callable[[bytes], T], what: str) -> T | None:
    """Return what `decode` makes of a file; None where there is no file, or a damaged one.

    A damaged file is renamed to one that ends in `.bad`. `what` names its contents in the notice:
    "the settings".
    """
    try:
        if not path.exists():
            return None
        return decode(read_bytes(path, _LIMIT))
    except Exception as error:  # whatever reads a damaged file may raise anything
        _set_aside(path, what, error)
        return None


def peek(path: Path, decode: Callable[[bytes], T]) -> T | None:
    """Return what `decode` makes of a file; None where there is none or it is damaged."""
    try:
        return decode(read_bytes(path, _LIMIT))
    except Exception as error:
        log.info("%s: %r", path, error)
        return None


def keep_copy(path: Path, what: str, problems: str) -> None:
    """Copy a file that was read in part to one that ends in `.bad`, since it is overwritten."""
    kept = _bad(path)
    try:
        kept.write_bytes(read_bytes(path, _LIMIT))
    except (OSError, FileError) as error:
        log.warning("%s could not be kept as %s: %s", path, kept, error)
        kept.unlink(missing_ok=True)
    _notify(f"The file with {what} could be read only in part", kept, problems)


def take_notices() -> list[PlaygroundError]:
    """Return what is to be said of damaged files, each once."""
    taken = list(_notices)
    _notices.clear()
    return taken


def _set_aside(path: Path, what: str, error: Exception) -> None:
    kept = _bad(path)
    try:
        if stat.S_ISREG(path.stat().st_mode):  # of a link to a device, the link is renamed
            path = path.resolve()
            kept = _bad(path)
        path.replace(kept)
    except OSError as second:
        log.warning("%s could not be kept as %s: %s", path, kept, second)
    _notify(f"The file with {what} could not be read", kept, repr(error))


def _notify(problem: str, kept: Path, detail: str) -> None:
    notice = f"{problem}. It is kept as {kept}." if kept.exists() else f"{problem}."
    log.warning("%s %s", notice, detail)
    if notice not in _said:  # a file that cannot be renamed is met again
        _said.add(notice)
        _notices.append(PlaygroundError(notice, detail=detail))


def _bad(path: Path) -> Path:
    return path.with_name(f"{path.name}.bad")
