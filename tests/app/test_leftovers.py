"""What killed processes have left is removed at the next start, wherever it lies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from playground.app.leftovers import sweep, sweep_all
from playground.core.quantizing.plan import partial_folder
from playground.core.system import paths
from playground.core.system.temporary import UNFINISHED, held_folder
from playground.hub.downloads.partial_files import lock_file

OID = "a" * 64


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_every_place_is_swept_and_nothing_else(tmp_path: Path) -> None:
    left = [
        made(folder / f".file.12345678{UNFINISHED}")
        for folder in (
            paths.config_dir(),
            paths.data_dir(),
            paths.cache_dir(),
            paths.cache_dir() / "native",
        )
    ]
    left += [
        made(partial_folder(folder / "copy", 99) / "model.safetensors").parent
        for folder in (paths.library_dir(), tmp_path / "models")
    ]
    environments = paths.data_dir() / "environments"
    left.append(made(environments / "killed" / "bin" / "python").parents[1])
    left.append(made(environments / ".killed.building"))
    kept = [
        made(paths.config_dir() / "settings.toml"),
        made(paths.data_dir() / "history.sqlite-wal"),
        made(paths.cache_dir() / "native" / "kernels-1.so"),
        made(paths.library_dir() / "copy" / "model.safetensors"),
        made(environments / "built" / "bin" / "python"),
        made(environments / "building" / "bin" / "python"),
    ]
    in_use = partial_folder(paths.library_dir() / "copy", os.getpid())
    with (
        held_folder(in_use),
        made(environments / ".building.building").open("a") as marker,
    ):
        fcntl.flock(marker, fcntl.LOCK_EX)
        sweep([tmp_path / "models"])
        assert [path for path in left if path.exists()] == []
        assert [path for path in (*kept, in_use) if not path.exists()] == []


def test_contents_that_nothing_resumes_leave_the_hubs_cache(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--owner--model"
    resumed = made(repository / "blobs" / f"{OID}.incomplete")
    orphan = made(repository / "blobs" / f"{OID}.0123abcd.incomplete")
    ref, half_ref = made(repository / "refs" / "main"), repository / "refs" / f".main.1{UNFINISHED}"
    made(half_ref)
    with lock_file(repository, OID).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as the library does while it writes
        sweep_all((), tmp_path / "hub")
        assert orphan.exists()
    sweep_all((), tmp_path / "hub")
    assert [path.exists() for path in (resumed, ref, orphan, half_ref)] == [
        True, True, False, False,
    ]  # fmt: skip


def test_a_place_that_cannot_be_read_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", "~nosuchuser/home")
    sweep()
    sweep_all((), made(tmp_path / "file"))
