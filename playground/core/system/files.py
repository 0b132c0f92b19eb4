"""Writes files atomically, so that no reader sees half of one."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from playground.core.system.temporary import UNFINISHED, hold


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data`; at any moment the file holds the old or the new data. Raises OSError."""
    # For a link, its target is replaced, so that a settings file may lie elsewhere.
    try:
        path = path.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    held = None
    while held is None:
        handle, name = tempfile.mkstemp(UNFINISHED, f".{path.name}.", path.parent)
        held = hold(Path(name))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    finally:
        os.close(held)
