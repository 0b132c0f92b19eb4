"""Work that one process at a time does, so that the others find it done."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait for the lock of that file; its folder is made. Where it can't be, nobody waits."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            stack.callback(os.close, lock)  # which lets go of it
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
