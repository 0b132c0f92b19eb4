"""Compiles the native kernels once per machine, and caches the library."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from playground.core.system import locks, paths
from playground.core.system.temporary import temporary_folder

log = logging.getLogger(__name__)

_SOURCE = Path(__file__).with_name("kernels.cpp")
_FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast"),
    *("-fopenmp", "-shared", "-fPIC", "-w"),
)
_COMPILE_S = 120.0  # a compiler that takes longer hangs


@functools.cache
def library() -> ctypes.CDLL | None:
    """Return the native kernels, compiled unless cached; None where that fails."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    compiler = next(filter(None, map(shutil.which, ("g++", "c++", "clang++"))), None)
    try:
        return ctypes.CDLL(str(compiled(compiler))) if compiler else None
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("the native kernels could not be compiled: %s", error)
        return None


def compiled(compiler: str, extra: tuple[str, ...] = ()) -> Path:
    """Return the library's path, compiled unless cached. Raises OSError, SubprocessError."""
    flags = (*_FLAGS, *extra)
    program = Path(compiler).resolve()
    text = _SOURCE.read_text("utf-8")
    parts = (text, *flags, program, program.stat().st_mtime_ns, _processor())
    key = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]
    path = paths.cache_dir() / "native" / f"kernels-{key}.so"
    # Lanes that start together compile once.
    with locks.exclusive(path.with_name("compiling.lock")):
        if path.is_file():
            return path
        with temporary_folder(path.parent) as temporary:
            new = temporary / path.name
            subprocess.run(
                [compiler, *flags, str(_SOURCE), "-o", str(new)],
                check=True,
                capture_output=True,
                timeout=_COMPILE_S,
                env={**os.environ, "LC_ALL": "C"},
            )
            new.replace(path)
        return path


def _processor() -> str:
    """Return what -march=native depends on. Several machines may share the cache folder."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "model name"))}))
