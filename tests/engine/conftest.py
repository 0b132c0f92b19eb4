"""Real engine processes on the real bundled model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.client.engine_process import child_environment
from playground.core.facts import LoadedModel
from playground.core.precision import Precision
from playground.core.system.resources import resource
from tests.engine.driver import NEW_TOKENS, PROMPTS, THREADS, Engine


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
def engine(model_folder: Path) -> Iterator[Engine]:
    """An engine with the bundled model in bf16; the tests of a module share it."""
    engine = Engine()
    engine.ready()
    loaded = engine.load(model_folder, Precision.BF16)
    assert isinstance(loaded, LoadedModel), loaded
    yield engine
    engine.process.close()


@pytest.fixture(scope="session")
def reference(model_folder: Path, gptq_folder: Path) -> dict[str, Any]:
    """What plain transformers makes of PROMPTS at every precision, in a process of its own."""
    job = {
        "model": str(model_folder),
        "gptq": str(gptq_folder),
        "prompts": PROMPTS,
        "new_tokens": NEW_TOKENS,
        "threads": THREADS,
    }
    result = subprocess.run(
        [sys.executable, "-m", "tests.engine.reference", json.dumps(job)],
        cwd=Path(__file__).parents[2],
        env=child_environment({"PYTHONSAFEPATH": ""}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    answers: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answers
