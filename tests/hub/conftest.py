"""A Hub on loopback and a fresh home for each test of downloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from playground.core.facts import ModelSpec
from playground.hub.download import Download
from playground.hub.download_events import DownloadEvent
from tests.support.hub_server import HubServer

Start = Callable[..., Download]


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def start(hub: HubServer, home: Path) -> Iterator[Start]:
    """Start a download from the loopback Hub; keywords are environment variables."""
    started: list[Download] = []

    def begin(source: str, revision: str = "", **environment: str) -> Download:
        download = Download(
            ModelSpec(source, revision),
            hub.environment(home, **environment),
        )
        download.start()
        started.append(download)
        return download

    yield begin
    for download in started:
        download.cancel()
        list(download.events())


@pytest.fixture
def fetch(start: Start) -> Callable[..., list[DownloadEvent]]:
    """Run a download to its end and return all that it told."""

    def run(source: str, revision: str = "", **environment: str) -> list[DownloadEvent]:
        return list(start(source, revision, **environment).events())

    return run
