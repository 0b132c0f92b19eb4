"""Temporary folders, and the removal of what killed processes have left.

Whoever uses a temporary file or folder holds a lock on it, which ends with the process.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from playground.core.system.paths import APPLICATION

log = logging.getLogger(__name__)

_PREFIX = f"{APPLICATION}-"
#: The end of the name of a file that is being written.
UNFINISHED = ".unfinished"


@contextlib.contextmanager
def temporary_folder(inside: Path | None = None) -> Iterator[Path]:
    """Yield a new folder, which is removed after the block. Raises OSError.

    It lies in the system's folder for temporary files, or in `inside`.
    """
    parent = inside or Path(tempfile.gettempdir())
    with held_folder(parent / f"{_PREFIX}{secrets.token_hex(4)}", mode=0o700) as folder:
        yield folder


@contextlib.contextmanager
def held_folder(path: Path, mode: int = 0o777) -> Iterator[Path]:
    """Make this folder and hold it; remove what lies there after the block. Raises OSError."""
    handle = None
    while handle is None:
        path.mkdir(mode)
        handle = hold(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def hold(path: Path) -> int | None:
    """Lock a new file or folder until the returned descriptor is closed; None where it is gone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # removed as unused before it was held
        return None
    with contextlib.suppress(OSError):  # without locks nothing is swept either
        fcntl.flock(handle, fcntl.LOCK_SH)
    if path.exists():
        return handle
    os.close(handle)
    return None


def sweep(*folders: Path) -> None:
    """Remove temporary folders and unfinished files that nobody holds.

    They are looked for in the system's folder for temporary files, and directly in `folders`.
    """
    for folder in (Path(tempfile.gettempdir()), *folders):
        remove_unused(
            path
            for path in children(folder)
            if path.name.startswith(_PREFIX) or path.name.endswith(UNFINISHED)
        )


def remove_unused(paths: Iterable[Path]) -> None:
    """Remove those files and folders of this user that no process holds."""
    for path in paths:
        with contextlib.suppress(OSError):
            if path.lstat().st_uid != os.getuid():
                continue
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while somebody holds it
                log.info("removing %s, which a killed process has left", path)
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
            finally:
                os.close(handle)


def children(folder: Path) -> list[Path]:
    """Return what lies in a folder, [] where it is gone or cannot be read."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []
