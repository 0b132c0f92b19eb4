"""A Hub on loopback and a fresh home for each test of downloads."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from playground.core.facts import ModelSpec
from playground.hub.downloads.download import Download
from playground.hub.downloads.events import DownloadEvent
from playground.hub.site.api import HubSite
from tests.support.hub_server import HubServer

Start = Callable[..., Download]


@pytest.fixture(scope="session", autouse=True)
def no_proxy() -> Iterator[None]:
    """Where a proxy is set, it must not be asked for this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost")
        yield


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


@pytest.fixture
def site(hub: HubServer, home: Path) -> HubSite:
    """The loopback Hub, as a user who is not logged in sees it."""
    return HubSite(hub.endpoint, home / "hub")


@pytest.fixture
def nobody(home: Path) -> Iterator[HubSite]:
    """A Hub that cannot be reached."""
    with socket.socket() as unused:  # bound and not listening: refuses every connection
        unused.bind(("127.0.0.1", 0))
        yield HubSite(f"http://127.0.0.1:{unused.getsockname()[1]}", home / "hub")
