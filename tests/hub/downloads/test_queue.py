"""The download queue: order, retries, stalls, cancelling, restarts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.downloads.queue import DownloadQueue, RetryPolicy
from playground.hub.downloads.queue_file import load
from tests.support.hub_server import Fault, HubServer, Repository
from tests.support.tiny_model import tiny_model_files

FILES = tiny_model_files()
FAST = RetryPolicy(attempts=3, first_wait_s=0.05, stall_s=60)
MODEL = ModelSpec("owner/model")


class Watched:
    """A queue and all that it told; `wait_for` waits for an entry that fits."""

    def __init__(self, hub: HubServer, home: Path, path: Path) -> None:
        self.told: list[DownloadItem] = []
        self._news = threading.Condition()
        self._hub, self._home, self._path = hub, home, path
        self.queues: list[DownloadQueue] = []

    def open(self, policy: RetryPolicy = FAST, **environment: str) -> DownloadQueue:
        queue = DownloadQueue(
            self._hear, self._path, self._hub.environment(self._home, **environment), policy
        )
        self.queues.append(queue)
        queue.start()
        return queue

    def wait_for(self, fits: Callable[[DownloadItem], bool], timeout: float = 60) -> DownloadItem:
        with self._news:
            assert self._news.wait_for(lambda: any(map(fits, self.told)), timeout), self.told
            return next(filter(fits, self.told))

    def wait_state(self, state: DownloadState, key: str = MODEL.source) -> DownloadItem:
        return self.wait_for(lambda item: item.state is state and item.key == key)

    def _hear(self, item: DownloadItem) -> None:
        with self._news:
            self.told.append(item)
            self._news.notify_all()


@pytest.fixture
def watched(hub: HubServer, home: Path, tmp_path: Path) -> Iterator[Watched]:
    found = Watched(hub, home, tmp_path / "data" / "downloads.json")
    yield found
    for fault in hub.faults:
        fault.release.set()
    for queue in found.queues:
        assert queue.close(60)


def unfinished(home: Path) -> list[Path]:
    return list(home.rglob("*.incomplete"))


def test_one_after_the_other_and_the_total_before_the_first_byte(
    hub: HubServer, watched: Watched
) -> None:
    for name in ("a", "b"):
        hub.add(Repository(f"owner/{name}", FILES))
    queue = watched.open()
    queue.add(ModelSpec("owner/a"))
    assert queue.add(ModelSpec("owner/b")).state is DownloadState.WAITING
    again = queue.add(ModelSpec("owner/b"))
    assert again.key == "owner/b"
    assert len(queue.items()) == 2
    done = watched.wait_state(DownloadState.FINISHED, "owner/b")
    states = [(item.key, item.state) for item in watched.told]
    assert states.index(("owner/a", DownloadState.FINISHED)) < states.index(
        ("owner/b", DownloadState.PLANNING)
    )
    planned = next(item for item in watched.told if item.state is DownloadState.RUNNING)
    assert planned.total_bytes == sum(map(len, FILES.values()))
    assert planned.done_bytes == 0
    assert done.fraction == 1.0
    assert (Path(done.folder) / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_hub_in_trouble_is_tried_again_until_it_works(hub: HubServer, watched: Watched) -> None:
    hub.add(Repository(MODEL.source, FILES))
    hub.add_fault(Fault("GET /api/models", 503, times=2))
    watched.open().add(MODEL)
    first = watched.wait_state(DownloadState.RETRYING)
    assert "503" in first.message
    assert watched.wait_state(DownloadState.FINISHED).message == ""
    assert [i.attempt for i in watched.told if i.state is DownloadState.RETRYING] == [1, 2]


def test_it_gives_up_after_the_last_attempt_and_can_be_told_to_go_on(
    hub: HubServer, watched: Watched
) -> None:
    hub.add(Repository(MODEL.source, FILES))
    hub.add_fault(Fault("GET /api/models", 503, times=3))
    queue = watched.open()
    queue.add(MODEL)
    failed = watched.wait_state(DownloadState.FAILED)
    assert failed.attempt == 3
    assert failed.remedy
    queue.retry(MODEL.source)
    watched.wait_state(DownloadState.FINISHED)


def test_the_wait_that_the_hub_asks_for_is_kept(hub: HubServer, watched: Watched) -> None:
    hub.add(Repository(MODEL.source, FILES))
    hub.add_fault(Fault("GET /api/models", 429, {"Retry-After": "3600"}, times=1))
    queue = watched.open()
    queue.add(MODEL)
    waiting = watched.wait_state(DownloadState.RETRYING)
    assert waiting.retry_at - time.monotonic() > 3590
    assert "60 min" in waiting.remedy
    queue.retry(MODEL.source)  # whoever knows better need not wait
    watched.wait_state(DownloadState.FINISHED)


def test_waits_double_up_to_a_limit() -> None:
    policy = RetryPolicy(first_wait_s=2, longest_wait_s=10)
    assert [policy.wait_s(n, 0) for n in (1, 2, 3, 4, 99)] == [2, 4, 8, 10, 10]
    assert policy.wait_s(1, 60) == 60


def test_a_stalled_transfer_is_broken_off_and_tried_again(
    hub: HubServer, home: Path, watched: Watched
) -> None:
    hub.add(Repository(MODEL.source, FILES))
    hold = hub.add_fault(Fault("GET /cdn/", after=1000, times=1))
    queue = watched.open(RetryPolicy(attempts=3, first_wait_s=0.05, stall_s=4))
    queue.add(MODEL)
    assert hold.reached.wait(60)
    stalled = watched.wait_state(DownloadState.RETRYING)
    assert "4 s." in stalled.message
    assert unfinished(home)
    watched.wait_state(DownloadState.FINISHED)


def test_cancel_leaves_nothing_unfinished_and_takes_the_next(
    hub: HubServer, home: Path, watched: Watched
) -> None:
    hub.add(Repository(MODEL.source, FILES))
    hub.add(Repository("owner/next", FILES))
    hold = hub.add_fault(Fault("GET /cdn/", after=1000, times=1))
    queue = watched.open()
    queue.add(MODEL)
    queue.add(ModelSpec("owner/next"))
    assert hold.reached.wait(60)
    queue.cancel(MODEL.source)
    assert queue.items()[0].state is DownloadState.CANCELLED
    watched.wait_state(DownloadState.FINISHED, "owner/next")
    assert not unfinished(home)
    assert (home / "hub" / "models--owner--model" / "blobs").is_dir()  # finished files stay
    queue.remove(MODEL.source)
    assert [item.key for item in queue.items()] == ["owner/next"]


@pytest.mark.parametrize("way", ["cancel", "remove"])
def test_giving_up_a_download_that_does_not_run_removes_what_it_has(
    hub: HubServer, home: Path, watched: Watched, way: str
) -> None:
    hub.add(Repository(MODEL.source, FILES))
    cut = hub.add_fault(Fault("GET /cdn/", after=1000, cut=True, times=1))
    cut.release.set()
    hub.add_fault(Fault("GET /cdn/", 403))
    attempts = {"cancel": 2, "remove": 1}[way]
    queue = watched.open(RetryPolicy(attempts=attempts, first_wait_s=3600))
    queue.add(MODEL)
    state = {"cancel": DownloadState.RETRYING, "remove": DownloadState.FAILED}[way]
    watched.wait_state(state)
    assert unfinished(home)
    getattr(queue, way)(MODEL.source)
    assert queue.close(60)
    assert not unfinished(home)
    assert list(home.rglob("snapshots/*/config.json"))  # finished files stay


def test_cancelled_and_at_once_added_again(hub: HubServer, watched: Watched) -> None:
    hub.add(Repository(MODEL.source, FILES))
    hold = hub.add_fault(Fault("GET /cdn/", after=1000, times=1))
    queue = watched.open()
    queue.add(MODEL)
    assert hold.reached.wait(60)
    queue.cancel(MODEL.source)
    assert queue.add(MODEL).state is DownloadState.WAITING
    watched.wait_state(DownloadState.FINISHED)


def test_it_survives_a_restart(
    hub: HubServer, home: Path, tmp_path: Path, watched: Watched
) -> None:
    repository = hub.add(Repository(MODEL.source, FILES))
    hub.add(Repository("owner/next", FILES))
    commit = repository.refs["main"]
    hold = hub.add_fault(Fault("GET /cdn/", after=1000, times=1))
    first = watched.open()
    first.add(MODEL)
    first.add(ModelSpec("owner/next"))
    assert hold.reached.wait(60)
    assert first.close(60)
    assert unfinished(home)
    left = load(tmp_path / "data" / "downloads.json")
    assert [(item.key, item.state) for item in left] == [
        (MODEL.source, DownloadState.WAITING),
        ("owner/next", DownloadState.WAITING),
    ]
    # Meanwhile it changes; what was begun is what is finished.
    repository.push(FILES | {"config.json": FILES["config.json"] + b" "})
    watched.told.clear()
    watched.open()
    done = watched.wait_state(DownloadState.FINISHED)
    assert done.commit == commit
    assert (Path(done.folder) / "config.json").read_bytes() == FILES["config.json"]
    assert (home / "hub/models--owner--model/refs/main").read_text() == commit
    watched.wait_state(DownloadState.FINISHED, "owner/next")


def test_the_version_whose_page_was_read_is_downloaded(hub: HubServer, watched: Watched) -> None:
    repository = hub.add(Repository(MODEL.source, FILES))
    shown = repository.refs["main"]
    repository.push(tiny_model_files(seed=1))
    watched.open().add(MODEL, shown)
    done = watched.wait_state(DownloadState.FINISHED)
    assert done.commit == shown
    assert (Path(done.folder) / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_version_that_is_gone_is_said_and_the_present_one_offered(
    hub: HubServer, watched: Watched
) -> None:
    repository = hub.add(Repository(MODEL.source, FILES))
    queue = watched.open()
    queue.add(MODEL, "d" * 40)
    failed = watched.wait_state(DownloadState.FAILED)
    assert "is gone" in failed.message
    queue.retry(MODEL.source)
    assert watched.wait_state(DownloadState.FINISHED).commit == repository.refs["main"]


def test_a_gated_model_says_where_to_ask(hub: HubServer, watched: Watched) -> None:
    hub.add(Repository(MODEL.source, FILES, gated="manual"))
    watched.open().add(MODEL)
    failed = watched.wait_state(DownloadState.FAILED)
    assert failed.needs_login
    assert failed.ask_at == f"{hub.endpoint}/owner/model"
    assert failed.attempt == 1


def test_offline_mode_is_not_tried_again(hub: HubServer, watched: Watched) -> None:
    watched.open(HF_HUB_OFFLINE="1").add(MODEL)
    assert "HF_HUB_OFFLINE" in watched.wait_state(DownloadState.FAILED).message
    assert not hub.requests


def test_wrong_ids_never_enter(watched: Watched) -> None:
    queue = watched.open()
    for spec in (ModelSpec("../etc"), ModelSpec("/a/folder"), ModelSpec("a/b", "../x")):
        with pytest.raises(ModelError):
            queue.add(spec)
    assert queue.items() == ()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version":1,"items":[{"key":1}]}', b"\xff"]
)
def test_a_damaged_file_is_kept_beside_and_forgotten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "downloads.json"
    path.write_bytes(content)
    assert load(path) == []
    assert (tmp_path / "downloads.json.bad").read_bytes() == content


def test_two_windows_keep_their_queues_apart_and_the_next_takes_over(
    hub: HubServer, tmp_path: Path, watched: Watched
) -> None:
    path = tmp_path / "data" / "downloads.json"
    unreachable = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    first, second = DownloadQueue(path=path), DownloadQueue(path=path)
    first.add(ModelSpec("owner/one"))
    second.add(ModelSpec("owner/two"))
    assert second.close(60)
    assert first.close(60)
    assert [item.key for item in load(path)] == ["owner/one"]
    third = watched.open(**unreachable)
    assert {item.key for item in third.items()} == {"owner/one", "owner/two"}
    assert sorted(p.name for p in path.parent.glob("*.json")) == ["downloads.json"]


def test_what_a_window_at_work_has_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "downloads.json"
    first, second = DownloadQueue(path=path), DownloadQueue(path=path)
    second.add(ModelSpec("owner/two"))
    assert first.close(60)
    third = DownloadQueue(path=path)
    assert third.items() == ()
    assert second.close(60)
    assert third.close(60)
    fourth = DownloadQueue(path=path)
    assert [item.key for item in fourth.items()] == ["owner/two"]
    assert fourth.close(60)
