"""The C++ of a token's step as a library: compiled on this machine once, and kept."""

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
import tempfile
from pathlib import Path

from playground.core.system import locks, paths

log = logging.getLogger(__name__)

_SOURCES = [
    Path(__file__).with_name(f"{name}.cpp") for name in ("fast", "exact", "exact_attention")
]
_SHARED = Path(__file__).with_name("common.h")
_FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-ffp-contract=off"),
    *("-fopenmp", "-shared", "-fPIC", "-w"),
)
_UNFINISHED = "compiling-"
_COMPILE_S = 120.0  # more is taken for a compiler that hangs


@functools.cache
def library() -> ctypes.CDLL | None:
    """Compile what is not there yet, and return it; None where that cannot be done here."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    compiler = next(filter(None, map(shutil.which, ("g++", "c++", "clang++"))), None)
    try:
        return ctypes.CDLL(str(compiled(compiler))) if compiler else None
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("the native products could not be compiled: %s", error)
        return None


def compiled(compiler: str, extra: tuple[str, ...] = ()) -> Path:
    """Return the library, made where it is not kept yet. Raises OSError, SubprocessError."""
    flags = (*_FLAGS, *extra)
    made_by = Path(compiler).resolve()
    texts = [path.read_text("utf-8") for path in (_SHARED, *_SOURCES)]
    parts = (*texts, *flags, made_by, made_by.stat().st_mtime_ns, _processor())
    key = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]
    path = paths.cache_dir() / "native" / f"products-{key}.so"
    # Lanes that start together compile once.
    with locks.exclusive(path.with_name("compiling.lock")):
        if path.is_file():
            return path
        for left in path.parent.glob(f"{_UNFINISHED}*"):  # of an engine that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=path.parent) as temporary:
            new = Path(temporary) / path.name
            subprocess.run(
                [compiler, *flags, *map(str, _SOURCES), "-o", str(new)],
                check=True,
                capture_output=True,
                timeout=_COMPILE_S,
                env={**os.environ, "LC_ALL": "C"},
            )
            new.replace(path)
        return path


def _processor() -> str:
    """What -march=native looks at: a home folder may be shared by machines."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "model name"))}))
