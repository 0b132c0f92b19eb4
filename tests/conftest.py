"""What all tests share: engines that start at once, and threads that do not spin."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence

import pytest

from playground.client import engine_process
from playground.client.engine_process import launch
from tests.support.warm_engines import Forked, WarmEngines

# Two test processes share the cores: a thread that waits for another one shall give its core away.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session", autouse=True)
def warm_engines() -> Iterator[WarmEngines]:
    """Engines that are forks of a process that has imported their libraries."""
    warm = WarmEngines()

    def start(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes] | Forked:
        return warm.start(env) if warm.can_start(command, env) else launch(command, env)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_process, "launch", start)
        yield warm
    warm.close()


@pytest.fixture
def fresh_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines that are started as the product starts them: for tests of just that."""
    monkeypatch.setattr(engine_process, "launch", launch)


@pytest.fixture(scope="module")
def fresh_engines_in_module() -> Iterator[None]:
    """The same for a module: what a forked engine shares with others is not its memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_process, "launch", launch)
        yield


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """Takes back what a library that a test imports does to the environment."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)
