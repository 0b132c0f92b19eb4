"""Fixtures of all tests: engines that start in milliseconds, and a Hub on loopback."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from playground.client import engine_process
from playground.client.engine_process import launch
from playground.core.system import own_files
from tests.support.hub_server import HubServer
from tests.support.warm_engines import SHARED, Forked, WarmEngines


@pytest.fixture(scope="session", autouse=True)
def warm_engines() -> Iterator[WarmEngines]:
    """Start engines as forks of one process, which has imported their libraries."""
    warm = SHARED
    warm.take_environment()  # now that all tests are imported, which sets some variables

    def start(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes] | Forked:
        return warm.start(env) if warm.can_start(command, env) else launch(command, env)

    with contextlib.closing(warm), pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_process, "launch", start)
        yield warm


@pytest.fixture
def fresh_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start engines as the product does, for tests of the start itself."""
    monkeypatch.setattr(engine_process, "launch", launch)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A Hub on loopback."""
    with HubServer() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the Hub's cache and token."""
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def own_notices() -> Iterator[None]:
    """Leave nothing to say to the next test."""
    yield
    own_files.take_notices()


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """Undo what a library that a test imports does to the environment."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz-seed", default="0", help="another seed for the tests in tests/fuzz")
