"""Tests whether CUDA kernels can be compiled here, by compiling a small one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

from playground.core.system.temporary import temporary_folder

_TIMEOUT_S = 60
_KERNEL = """#include <cuda_fp16.h>
#include <cuda_bf16.h>
__global__ void twice(half* x) { x[threadIdx.x] = __hadd(x[threadIdx.x], x[threadIdx.x]); }
"""


@cache
def works() -> bool:
    """Return whether torch's extensions compile: with ninja, and nvcc of torch's CUDA version."""
    if shutil.which("ninja") is None and find_spec("ninja") is None:
        return False
    compiler = nvcc()
    if compiler is None or _release(compiler) != (torch.version.cuda or "").partition(".")[0]:
        return False
    with temporary_folder() as folder:
        source, compiled = folder / "try.cu", folder / "try.o"
        source.write_text(_KERNEL, "ascii")
        command = [compiler, "-std=c++17", "-c", source, "-o", compiled]
        return _run([str(part) for part in command]) is not None and compiled.is_file()


def nvcc() -> Path | None:
    """Return the nvcc that torch's extensions call: from CUDA_HOME, else from PATH."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    if not home:
        found = shutil.which("nvcc")
        home = str(Path(found).parents[1]) if found else "/usr/local/cuda"
    path = Path(home) / "bin" / "nvcc"
    return path if os.access(path, os.X_OK) else None


def _release(compiler: Path) -> str:
    """Return nvcc's major version: kernels of another version do not load beside torch's."""
    release = re.search(r"release (\d+)\.", _run([str(compiler), "--version"]) or "")
    return release[1] if release else ""


def _run(command: list[str]) -> str | None:
    """Return the command's output, None if it failed."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
