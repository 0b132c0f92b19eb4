"""Names processes so that no later one has the same name: process ids are used again."""

from __future__ import annotations

import os
from pathlib import Path

_START_FIELD = 19  # of /proc/PID/stat, counted from the field after the program's name


def this_process() -> str:
    """Return this process's id and the time at which it started."""
    return f"{os.getpid()} {_started(os.getpid())}"


def is_alive(name: str) -> bool:
    """Return whether the process of a `this_process` still runs on this machine."""
    text, _, started = name.partition(" ")
    if not text.isdecimal() or len(text) > 10:
        return False
    try:
        os.kill(int(text), 0)
    except PermissionError:
        pass  # it is another user's
    except (OSError, OverflowError):
        return False
    return _started(int(text)) == started


def _started(pid: int) -> str:
    """Return when a process started, in the kernel's ticks; "" where that cannot be known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        return stat.rpartition(")")[2].split()[_START_FIELD]
    except (OSError, IndexError):
        return ""
