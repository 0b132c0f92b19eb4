"""Downloads that are waited for, as the command line's are."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.hub.downloads.fetch import fetch
from playground.hub.downloads.items import DownloadItem, DownloadState
from tests.support.hub_server import Fault, HubServer, Repository
from tests.support.tiny_model import tiny_model_files

FILES = tiny_model_files()


@pytest.fixture(autouse=True)
def environment(hub: HubServer, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's environment is the one that downloads of a command have."""
    for name, value in hub.environment(home).items():
        monkeypatch.setenv(name, value)


def test_the_others_finish_before_a_failure_is_raised(hub: HubServer) -> None:
    hub.add(Repository("owner/gated", FILES, gated="manual"))
    hub.add(Repository("owner/model", FILES))
    hub.add_fault(Fault("GET /api/models/owner/model", 429, {"Retry-After": "0"}, times=1))
    seen: list[DownloadItem] = []
    with pytest.raises(ModelError, match="is gated") as caught:
        fetch([ModelSpec("owner/gated"), ModelSpec("owner/model")], seen.append)
    assert "Ask for access" in caught.value.remedy
    states = [item.state for item in seen if item.key == "owner/model"]
    assert DownloadState.RETRYING in states  # as the window's downloads are
    assert states[-1] is DownloadState.FINISHED
    assert (Path(seen[-1].folder) / "model.safetensors").is_file()


def test_what_an_observer_raises_stops_the_download(hub: HubServer, home: Path) -> None:
    hub.add(Repository("owner/model", FILES))
    hold = hub.add_fault(Fault("GET /cdn/", after=1000, times=1))

    def stop(item: DownloadItem) -> None:
        if item.state is DownloadState.RUNNING and hold.reached.wait(60):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch([ModelSpec("owner/model")], stop)
    hold.release.set()
    assert list(home.rglob("*.incomplete"))
