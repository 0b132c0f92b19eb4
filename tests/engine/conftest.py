"""Real engine processes on the real bundled model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.core.facts import LoadedModel
from playground.core.precision import Precision
from playground.core.system.locks import exclusive
from playground.core.system.resources import resource
from tests.engine.driver import NEW_TOKENS, PROMPTS, THREADS, Engine, run_script


@pytest.fixture(scope="session")
def model_folder() -> Path:
    return resource("models", "classics-6m")


@pytest.fixture(scope="session")
def gptq_folder() -> Path:
    return resource("models", "classics-6m-gptq")


@pytest.fixture
def start() -> Iterator[Callable[..., Engine]]:
    """Start engines that end with the test."""
    engines: list[Engine] = []

    def start(env: dict[str, str] | None = None) -> Engine:
        engines.append(Engine(env))
        return engines[-1]

    yield start
    for engine in engines:
        engine.process.close()


@pytest.fixture(scope="module")
def empty_engine() -> Iterator[Engine]:
    """An engine without a model, which the tests of a module share; a failed load leaves it so."""
    engine = Engine()
    engine.ready()
    yield engine
    engine.process.close()


@pytest.fixture(scope="module")
def engine(empty_engine: Engine, model_folder: Path) -> Engine:
    """An engine with the bundled model, which the tests of a module share.

    In fp32, so that on no processor a kernel's rounding changes a token.
    """
    loaded = empty_engine.load(model_folder, Precision.FP32)
    assert isinstance(loaded, LoadedModel), loaded
    return empty_engine


@pytest.fixture(scope="session")
def reference(
    model_folder: Path, gptq_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The answers of plain transformers to PROMPTS at each precision, from a separate process."""
    job = {
        "model": str(model_folder),
        "gptq": str(gptq_folder),
        "prompts": PROMPTS,
        "new_tokens": NEW_TOKENS,
        "threads": THREADS,
    }
    # The test processes of one run share the folder above, and what the first of them computed.
    shared = tmp_path_factory.getbasetemp().parent / "reference.json"
    with exclusive(shared.with_suffix(".lock")):
        if not shared.exists() or "PYTEST_XDIST_WORKER" not in os.environ:
            script = Path(__file__).with_name("reference.py")
            shared.write_text(json.dumps(run_script(script, json.dumps(job))))
        found: dict[str, Any] = json.loads(shared.read_text())
    return found
