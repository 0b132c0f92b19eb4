"""The memory that an engine's process holds."""

from __future__ import annotations

import psutil


def resident_bytes(pid: int) -> int:
    """Memory a process holds now, shared pages included; 0 where it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else 0
    except psutil.Error:
        return 0
