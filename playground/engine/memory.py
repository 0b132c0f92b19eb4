"""Memory of this machine and of this process, from /proc where there is one. Sizes in bytes."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
#: Names of glibc's malloc.h, and the values that its own adjustment comes to at most.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_USUAL_MMAP, _USUAL_TRIM = 32 * 2**20, 64 * 2**20
_LARGE = 2**20


def machine_memory() -> tuple[int, int]:
    """Return (total, free), where free is what programs can get without swapping."""
    total, free = _system_memory()
    limit, used = _cgroup_memory()
    if 0 < limit < total:
        total, free = limit, min(free, max(0, limit - used))
    return total, free


def free_swap() -> int:
    """Swap space that nothing uses yet; 0 where a container may not use it."""
    limit, _ = _cgroup_memory()
    return 0 if limit else _meminfo().get("SwapFree", 0)


def resident() -> int:
    """Memory this process holds now."""
    return _status("VmRSS") or _highest_ever()


def reset_peak() -> None:
    """Begin a new measurement of the peak, where the system lets us."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak_resident() -> int:
    """The most this process held since reset_peak, or in its life where that has no effect."""
    return _status("VmHWM") or _highest_ever()


@contextlib.contextmanager
def large_blocks_apart() -> Iterator[None]:
    """Inside, blocks above 1 MiB come straight from the system and go straight back.

    A load converts tensor after tensor, and glibc would keep the holes that they leave: up to
    twice the weights of a small model. Afterwards blocks are kept again, as decoding wants it.
    Where there is no glibc, nothing happens.
    """
    try:
        libc = ctypes.CDLL(None)
        mallopt, trim = libc.mallopt, libc.malloc_trim
    except (OSError, AttributeError, TypeError):
        yield
        return
    mallopt(_MMAP_THRESHOLD, _LARGE)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _USUAL_MMAP)
        mallopt(_TRIM_THRESHOLD, _USUAL_TRIM)
        trim(0)


def _system_memory() -> tuple[int, int]:
    meminfo = _meminfo()
    if "MemTotal" in meminfo:
        return meminfo["MemTotal"], meminfo.get("MemAvailable", meminfo.get("MemFree", 0))
    try:
        import psutil  # a foreign environment may lack it
    except ImportError:
        return 0, 0
    memory = psutil.virtual_memory()
    return int(memory.total), int(memory.available)


def _meminfo() -> dict[str, int]:
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return {}
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if " kB" in line}


def _cgroup_memory() -> tuple[int, int]:
    """The container's limit and what it uses, without file pages it can drop; 0 if unlimited."""
    for limit, used, inactive in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        with contextlib.suppress(OSError, ValueError):
            most = int((_CGROUP / limit).read_text("ascii"))
            now = int((_CGROUP / used).read_text("ascii"))
            stat = (_CGROUP / used).with_name("memory.stat").read_text("ascii")
            droppable = dict(line.split(" ", 1) for line in stat.splitlines()).get(inactive, "0")
            return most, max(0, now - int(droppable))
    return 0, 0


def _status(field: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return 0
    return next((int(v.split()[1]) * 1024 for v in lines if v.startswith(f"{field}:")), 0)


def _highest_ever() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
