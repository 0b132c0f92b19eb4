"""Measures the memory of an engine's process."""

from __future__ import annotations

import psutil


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory, shared pages included; 0 where it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else 0
    except psutil.Error:
        return 0
