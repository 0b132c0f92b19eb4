"""A hundred and fifty damaged files of the playground's own: each gives values, and is kept."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import tomli_w

from playground.core.facts import ModelSpec
from playground.core.memory.corrections import Corrections, MeasuredLoad, corrections_for
from playground.core.precision import Precision
from playground.core.settings import Settings, SettingsStore
from playground.core.system import own_files, paths
from playground.hub.downloads import queue_file
from playground.hub.downloads.items import DownloadItem
from tests.fuzz.conftest import check_sentence, restart
from tests.fuzz.mutations import mutated_bytes, mutated_json

FILES = 50


def damaged(
    data: bytes, draw: random.Random, parse: Callable[[bytes], object] = json.loads
) -> bytes:
    """Return the bytes of a file with other values, or other bytes."""
    if draw.random() < 0.5:
        return mutated_bytes(data, draw)
    return json.dumps(mutated_json(parse(data), draw, draw.choice([1, 3]))).encode()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    return tmp_path


def check_notices(done: str) -> None:
    for notice in own_files.take_notices():
        check_sentence(notice.message, done)


@pytest.mark.usefixtures("no_hang")
def test_settings(home: Path, seed: int) -> None:
    values = msgspec.to_builtins(Settings())
    path = paths.settings_file()
    path.parent.mkdir(parents=True)
    for number in range(FILES):
        restart()
        draw = random.Random(f"{seed} settings {number}")
        document = mutated_json({"version": 2, **values}, draw, draw.choice([1, 3]))
        data = mutated_bytes(tomli_w.dumps({"version": 2, **values}).encode(), draw)
        if draw.random() < 0.6:
            # TOML has no null, and no half of a character.
            with contextlib.suppress(TypeError, ValueError, AttributeError):
                data = tomli_w.dumps(document).encode()
        path.write_bytes(data)
        store = SettingsStore()
        assert isinstance(store.values, Settings)
        assert store.values.lanes
        store.values.options.check()
        check_notices(f"settings {number}")
        store.change(theme="dark")
        assert SettingsStore().values.theme == "dark"
        check_notices(f"settings {number}")


@pytest.mark.usefixtures("no_hang")
def test_the_download_queue(home: Path, seed: int) -> None:
    path = home / "downloads.json"
    item = DownloadItem(key="k", spec=ModelSpec("org/model"))
    queue_file.save(path, [item])
    good = path.read_bytes()
    for number in range(FILES):
        restart()
        path.write_bytes(damaged(good, random.Random(f"{seed} queue {number}")))
        for found in queue_file.load(path):
            assert isinstance(found, DownloadItem)
        check_notices(f"queue {number}")
        queue_file.save(path, [item])
        assert queue_file.load(path) == [item]


@pytest.mark.usefixtures("no_hang")
def test_the_memory_of_earlier_loads(home: Path, seed: int) -> None:
    path = paths.cache_dir() / "memory.json"
    path.parent.mkdir(parents=True)
    loads = Corrections((MeasuredLoad(Precision.BF16, 10**9, 11 * 10**8, "llama"),) * 3)
    good = msgspec.json.encode({"cpu": loads})
    for number in range(FILES):
        restart()
        path.write_bytes(damaged(good, random.Random(f"{seed} memory {number}")))
        factor = corrections_for("cpu").factor("llama", Precision.BF16, 10**9)
        assert 0.5 < factor < 2
        check_notices(f"memory {number}")
