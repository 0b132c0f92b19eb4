"""Locks work that only one process at a time may do, while others wait for its result."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait for the lock of a file and hold it; go without where the file can't be created."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            stack.callback(os.close, lock)  # which releases the lock
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
