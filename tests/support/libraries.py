"""Libraries that some tests need, looked for without importing them."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

#: Its import sets HF_HOME and other variables for the whole process, so no test does it.
needs_gptqmodel = pytest.mark.skipif(
    find_spec("gptqmodel") is None, reason="gptqmodel is not installed"
)
