"""The native kernels, and where they can be tried."""

from __future__ import annotations

import shutil
import sys

import pytest

from playground.engine.cpu_step.build import library
from playground.engine.cpu_step.kernels import NativeKernels

COMPILER = shutil.which("g++")
needs_compiler = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="compiled by g++ on Linux only"
)


def native_kernels() -> NativeKernels:
    found = library()
    assert found is not None
    return NativeKernels(found)
