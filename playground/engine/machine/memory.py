"""Measures and releases the memory of this process, in bytes."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

#: Parameters of glibc's mallopt, by their numbers in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: The largest values that glibc's own adjustment of the two reaches.
_USUAL_TRIM, _USUAL_MMAP = 64 * 2**20, 32 * 2**20
_LARGE = 2**18


def resident() -> int:
    """Return the resident set size of this process."""
    return _status("VmRSS") or _highest_ever()


def reset_peak(device: str) -> None:
    """Restart the measurement of the peak on a device, where the system supports it."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak(device: str) -> int:
    """Return the peak since reset_peak: of the resident set, on a GPU of allocated tensors."""
    if device != "cpu":
        return int(torch.cuda.max_memory_allocated(device))
    return _status("VmHWM") or _highest_ever()


@contextlib.contextmanager
def large_blocks_apart() -> Iterator[None]:
    """Inside the block, return freed blocks above 256 KiB to the system at once.

    A load converts tensor after tensor, and glibc would keep the freed blocks: up to twice the
    weights of a small model. After the block glibc keeps them again, which makes decoding faster.
    No effect without glibc.
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


def release() -> None:
    """Return unreferenced memory to the system and the device."""
    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _status(field: str) -> int:
    """Return a field of /proc/self/status in bytes, 0 where it cannot be read."""
    try:
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return 0
    return next((int(v.split()[1]) * 1024 for v in lines if v.startswith(f"{field}:")), 0)


def _highest_ever() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
