"""The native products, and where they can be tried."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from playground.engine.cpu_step.build import library
from playground.engine.cpu_step.kernels import NativeProducts

COMPILER = shutil.which("g++")
needs_compiler = pytest.mark.skipif(
    COMPILER is None or sys.platform != "linux", reason="compiled by g++ on Linux only"
)


def native_products(exact: bool) -> NativeProducts:
    found = library()
    assert found is not None
    return NativeProducts(found, exact)


def _knows_order() -> bool:
    """Whether the exact products have this processor's orders of sums, and so must agree."""
    facts = Path("/proc/cpuinfo")
    text = facts.read_text("utf-8") if facts.is_file() else ""
    return all(word in text for word in ("AuthenticAMD", "avx512_bf16"))


KNOWN_ORDER = _knows_order()
