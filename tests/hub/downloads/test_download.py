"""Downloads by the real client, in real child processes, from a Hub on loopback."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from playground.core.facts import ModelSpec
from playground.core.precision import Precision
from playground.hub.downloads.download import Download
from playground.hub.downloads.events import (
    Advanced,
    Broken,
    Cancelled,
    Completed,
    DownloadEvent,
    Planned,
)
from playground.hub.local.cache import find_cached
from playground.hub.local.resolve import resolve
from tests.support.hub_server import Fault, HubServer, Repository
from tests.support.tiny_model import tiny_model_files

FILES = tiny_model_files(hidden=256)
NOT_NEEDED = {
    "pytorch_model.bin": b"p" * 5000,
    "onnx/model.onnx": b"o" * 5000,
    "README.md": b"# A model",
    "model.Q4_0.gguf": b"g",
}
WEIGHTS = len(FILES["model.safetensors"])
HALF = WEIGHTS // 2
SHA256 = hashlib.sha256(FILES["model.safetensors"]).hexdigest()
Fetch = Callable[..., list[DownloadEvent]]
Start = Callable[..., Download]


def unfinished(home: Path) -> list[Path]:
    return list(home.rglob("*.incomplete"))


def advance_to(download: Download, done: int) -> Advanced:
    """Read events until so many bytes are there."""
    for event in download.events():
        if isinstance(event, Advanced) and event.done_bytes >= done:
            return event
    raise AssertionError("the download ended")


def test_what_the_load_needs_arrives_and_nothing_else(
    hub: HubServer, home: Path, fetch: Fetch
) -> None:
    repository = hub.add(Repository("owner/model", FILES | NOT_NEEDED))
    hub.page_size = 2
    dead = "http://127.0.0.1:9"  # the discard port: a proxy there would end everything
    events = fetch("owner/model", HTTP_PROXY=dead, HTTPS_PROXY=dead, ALL_PROXY=dead)
    total = sum(map(len, FILES.values()))
    commit = repository.refs["main"]
    assert events[0] == Planned(
        commit=commit,
        repository=str(hub.cache(home) / "models--owner--model"),
        files=len(FILES),
        total_bytes=total,
        present_bytes=0,
    )
    steps = [event for event in events if isinstance(event, Advanced)]
    assert [s.done_bytes for s in steps] == sorted(s.done_bytes for s in steps)
    assert steps[-1].done_bytes == total
    end = events[-1]
    assert isinstance(end, Completed)
    assert {p.name: p.read_bytes() for p in Path(end.folder).iterdir()} == FILES
    cached = find_cached("owner/model", cache=hub.cache(home))
    assert cached is not None
    assert (cached.complete, cached.refs, cached.commit) == (True, ("main",), commit)
    found = resolve(ModelSpec("owner/model"), Precision.BF16, hub.cache(home))
    assert (str(found.folder), found.commit) == (end.folder, commit)
    assert not unfinished(home)


def test_a_second_time_nothing_is_transferred(hub: HubServer, fetch: Fetch) -> None:
    hub.add(Repository("owner/model", FILES))
    fetch("owner/model")
    hub.requests.clear()
    plan, *_, end = fetch("owner/model")
    assert isinstance(plan, Planned)
    assert plan.present_bytes == plan.total_bytes
    assert isinstance(end, Completed)
    assert not [r for r in hub.requests if r.startswith("GET") and "/api/" not in r]


def test_a_revision_has_its_own_snapshot(hub: HubServer, home: Path, fetch: Fetch) -> None:
    repository = hub.add(Repository("owner/model", FILES))
    repository.refs["v1"] = "1" * 40
    end = fetch("owner/model", "v1")[-1]
    assert isinstance(end, Completed)
    assert end.commit == "1" * 40
    assert find_cached("owner/model", "v1", hub.cache(home)) is not None
    end = fetch("owner/model", "1" * 40)[-1]
    assert isinstance(end, Completed)
    refs = hub.cache(home) / "models--owner--model" / "refs"
    assert [p.name for p in refs.iterdir()] == ["v1"]


def test_cancel_removes_its_unfinished_files_and_no_others(
    hub: HubServer, home: Path, start: Start
) -> None:
    hub.add(Repository("owner/model", FILES))
    hold = hub.add_fault(Fault(r"GET /cdn/", after=HALF))
    strange = hub.cache(home) / "models--owner--model" / "blobs" / "other.12345678.incomplete"
    strange.parent.mkdir(parents=True)
    strange.write_bytes(b"another program's")
    download = start("owner/model")
    step = advance_to(download, HALF // 2)
    assert step.total_bytes > step.done_bytes
    assert {path.name for path in unfinished(home)} == {strange.name, f"{SHA256}.incomplete"}
    assert download.pid is not None
    child = psutil.Process(download.pid)
    download.cancel()
    *_, end = download.events()
    assert end == Cancelled()
    assert not child.is_running()
    assert unfinished(home) == [strange]
    kept = {p.name for p in (hub.cache(home) / "models--owner--model").rglob("snapshots/*/*")}
    hold.release.set()
    hub.faults.clear()
    hub.requests.clear()
    *_, end = start("owner/model").events()
    assert isinstance(end, Completed)
    fetched = {r.rsplit("/", 1)[-1] for r in hub.requests if r.startswith("GET /owner")}
    assert not fetched & kept  # finished files were kept


def test_cancel_before_the_plan(hub: HubServer, home: Path, start: Start) -> None:
    hub.add(Repository("owner/model", FILES))
    hold = hub.add_fault(Fault(r"GET /api/models", after=0))
    download = start("owner/model")
    assert hold.reached.wait(60)
    download.cancel()
    assert list(download.events()) == [Cancelled()]
    assert not unfinished(home)
    download.cancel()  # once more does no harm


def test_a_killed_download_says_so_and_the_next_goes_on(
    hub: HubServer, home: Path, start: Start
) -> None:
    hub.add(Repository("owner/model", FILES))
    hold = hub.add_fault(Fault(r"GET /cdn/", after=HALF, times=1))
    download = start("owner/model")
    advance_to(download, HALF // 2)
    assert download.pid is not None
    os.kill(download.pid, signal.SIGKILL)
    *_, end = download.events()
    assert isinstance(end, Broken)
    assert "killed by signal 9" in end.message
    assert end.remedy
    goes_on(hub, home, start, hold)


def test_a_stopped_download_goes_on_where_it_stopped(
    hub: HubServer, home: Path, start: Start
) -> None:
    hub.add(Repository("owner/model", FILES))
    hold = hub.add_fault(Fault(r"GET /cdn/", after=HALF, times=1))
    download = start("owner/model")
    advance_to(download, HALF // 2)
    download.stop()
    *_, end = download.events()
    assert end == Cancelled()
    goes_on(hub, home, start, hold)


def goes_on(hub: HubServer, home: Path, start: Start, hold: Fault) -> None:
    """Download again: only the bytes that are missing are requested."""
    hold.release.set()
    (partial,) = unfinished(home)
    here = partial.stat().st_size
    assert here >= 256 * 1024
    hub.ranges.clear()
    planned, *_, end = start("owner/model").events()
    assert isinstance(planned, Planned)
    assert planned.present_bytes >= here
    assert hub.ranges == [f"bytes={here}-"] * 2  # the Hub, and where its link leads
    assert isinstance(end, Completed)
    assert (Path(end.folder) / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert not unfinished(home)


def test_no_download_survives_its_application(hub: HubServer, home: Path) -> None:
    hub.add(Repository("owner/model", FILES))
    hub.add_fault(Fault(r"GET /cdn/", after=HALF))
    program = (
        "from playground.core.facts import ModelSpec\n"
        "from playground.hub.downloads.download import Download\n"
        "from playground.hub.downloads.events import Advanced\n"
        "download = Download(ModelSpec('owner/model'))\n"
        "download.start()\n"
        "for event in download.events():\n"
        "    if isinstance(event, Advanced) and event.done_bytes:\n"
        "        print(download.pid, flush=True)\n"
    )
    application = subprocess.Popen(
        [sys.executable, "-c", program], env=hub.environment(home), stdout=subprocess.PIPE
    )
    with application:
        assert application.stdout is not None
        child = psutil.Process(int(application.stdout.readline()))
        assert unfinished(home)
        application.kill()
        child.wait()
    assert unfinished(home)


def test_a_broken_transfer_goes_on_where_it_stopped(hub: HubServer, fetch: Fetch) -> None:
    hub.add(Repository("owner/model", FILES))
    cut = hub.add_fault(Fault(r"GET /cdn/", after=HALF, cut=True, times=1))
    cut.release.set()
    end = fetch("owner/model")[-1]
    assert isinstance(end, Completed)
    assert (Path(end.folder) / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert any(part.startswith("bytes=") for part in hub.ranges)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_file_that_arrives_damaged_is_fetched_anew_and_never_counts(
    hub: HubServer, home: Path, fetch: Fetch, name: str
) -> None:
    repository = hub.add(Repository("owner/model", FILES))
    repository.damaged[name] = FILES[name][:-1] + bytes([FILES[name][-1] ^ 1])
    end = fetch("owner/model")[-1]
    assert isinstance(end, Broken)
    assert f"{name} of owner/model arrived damaged twice" in end.message
    assert not end.retryable
    tried = [r for r in hub.requests if r.startswith("GET /owner") and r.endswith(name)]
    assert len(tried) == 2
    assert not list(home.rglob(name))
    assert not unfinished(home)
    repository.damaged.clear()
    assert isinstance(fetch("owner/model")[-1], Completed)


def test_an_unfinished_file_of_other_content_is_begun_anew(
    hub: HubServer, home: Path, fetch: Fetch
) -> None:
    hub.add(Repository("owner/model", FILES))
    blobs = hub.cache(home) / "models--owner--model" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{SHA256}.incomplete").write_bytes(bytes(WEIGHTS - 10))
    end = fetch("owner/model")[-1]
    assert isinstance(end, Completed)
    assert (Path(end.folder) / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert hub.ranges.count(f"bytes={WEIGHTS - 10}-") == 2
    (blobs / SHA256).unlink()
    (Path(end.folder) / "model.safetensors").unlink()
    (blobs / f"{SHA256}.incomplete").write_bytes(bytes(WEIGHTS + 10))
    (blobs / f"{SHA256}.01234567.incomplete").write_bytes(b"left by the library when it was killed")
    assert isinstance(fetch("owner/model")[-1], Completed)
    assert not unfinished(home)


def test_a_file_that_was_damaged_on_the_disk_is_fetched_again(hub: HubServer, fetch: Fetch) -> None:
    hub.add(Repository("owner/model", FILES))
    end = fetch("owner/model")[-1]
    assert isinstance(end, Completed)
    tokenizer, weights = (Path(end.folder) / n for n in ("tokenizer.json", "model.safetensors"))
    tokenizer.resolve().write_bytes(bytes(len(FILES["tokenizer.json"])))
    weights.resolve().write_bytes(FILES["model.safetensors"][:-100])
    assert isinstance(fetch("owner/model")[-1], Completed)
    assert tokenizer.read_bytes() == FILES["tokenizer.json"]
    assert weights.read_bytes() == FILES["model.safetensors"]


def test_a_second_download_of_the_same_model_waits_and_transfers_nothing(
    hub: HubServer, start: Start
) -> None:
    hub.add(Repository("owner/model", FILES))
    hold = hub.add_fault(Fault(r"GET /cdn/", after=HALF, times=1))
    first, second = start("owner/model"), start("owner/model")
    assert hold.reached.wait(60)
    hold.release.set()
    for download in (first, second):
        *_, end = download.events()
        assert isinstance(end, Completed)
    assert len([r for r in hub.requests if r.startswith("GET /cdn/")]) == 1


def test_a_branch_that_moves_meanwhile_does_not_mix_versions(
    hub: HubServer, home: Path, start: Start
) -> None:
    repository = hub.add(Repository("owner/model", FILES))
    commit = repository.refs["old"] = repository.refs["main"]
    hold = hub.add_fault(Fault(r"GET /cdn/", after=HALF))
    download = start("owner/model")
    assert hold.reached.wait(60)
    repository.refs["main"] = "2" * 40
    hold.release.set()
    *_, end = download.events()
    assert isinstance(end, Completed)
    assert end.commit == commit
    assert {p.name for p in Path(end.folder).iterdir()} == set(FILES)
