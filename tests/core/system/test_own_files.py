"""The playground's own files: whatever is in them, the program goes on, and says so once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from playground.core.memory.corrections import (
    Corrections,
    MeasuredLoad,
    corrections_for,
    record_load,
)
from playground.core.precision import Precision
from playground.core.system import own_files, paths
from playground.core.system.files import write_atomically

DAMAGED = [
    b"",
    b"\xff",
    b'{"cpu": {"loads": [{"precision": "bf\xff16"}]}}',
    b"[" * 5000,
    b'{"a":' * 5000,
    b"9" * 5000,
    b'{"cpu": {"loads": [{"precision": "bf16", "predicted": ' + b"9" * 400 + b', "measured": 1}]}}',
    b'{"cpu": {"loads": [{"precision": "bf16", "predicted": 1e400, "measured": 1}]}}',
]


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    path = paths.cache_dir() / "memory.json"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("data", DAMAGED)
def test_a_damaged_file_is_set_aside_and_said_once(stored: Path, data: bytes) -> None:
    stored.write_bytes(data)
    assert corrections_for("cpu") == Corrections()
    assert corrections_for("cpu") == Corrections()
    (notice,) = own_files.take_notices()
    assert str(stored) + ".bad" in notice.message
    assert stored.with_name("memory.json.bad").read_bytes() == data
    load = MeasuredLoad(Precision.BF16, 100, 110)
    record_load("cpu", load)
    assert corrections_for("cpu").loads == (load,)
    assert not own_files.take_notices()


def test_what_is_no_file_is_set_aside_too(stored: Path) -> None:
    os.mkfifo(stored)
    assert corrections_for("cpu") == Corrections()
    stored.symlink_to("/dev/zero")
    assert corrections_for("cpu") == Corrections()
    assert not stored.is_symlink()
    assert Path("/dev/zero").exists()
    assert len(own_files.take_notices()) == 1  # the same sentence


def test_where_nothing_can_be_written_it_is_said_only_once(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "replace", refuse)
    stored.write_bytes(b"\xff")
    for _ in range(3):
        assert corrections_for("cpu") == Corrections()
    assert len(own_files.take_notices()) == 1


def test_of_a_link_the_file_is_set_aside_where_the_link_lies(stored: Path) -> None:
    real = stored.with_name("real.json")
    real.write_bytes(b"\xff")
    stored.symlink_to(real)
    assert corrections_for("cpu") == Corrections()
    assert real.with_name("real.json.bad").exists()
    assert not real.exists()
    record_load("cpu", MeasuredLoad(Precision.BF16, 100, 110))
    assert real.is_file()


def test_a_full_disk_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]
