"""Memory of this process, from /proc where there is one. Sizes in bytes."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

#: Names of glibc's malloc.h, and the values that its own adjustment comes to at most.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_USUAL_MMAP, _USUAL_TRIM = 32 * 2**20, 64 * 2**20
_LARGE = 2**20


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


def _status(field: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return 0
    return next((int(v.split()[1]) * 1024 for v in lines if v.startswith(f"{field}:")), 0)


def _highest_ever() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
