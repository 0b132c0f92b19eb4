"""Temporary files and folders stay as long as their process lives, and are swept after it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from playground.core.system.files import write_atomically
from playground.core.system.temporary import (
    UNFINISHED,
    held_folder,
    hold,
    remove_unused,
    sweep,
    temporary_folder,
)

#: Holds what it makes until it is killed.
_PROGRAM = """
import os, sys
from pathlib import Path
from playground.core.system import files, temporary
folder = Path(sys.argv[1])
os.fsync = lambda _: print("written", flush=True) or sys.stdin.read()
with temporary.temporary_folder(folder) as made, temporary.held_folder(folder / "copy.unfinished"):
    made.joinpath("file").touch()
    files.write_atomically(folder / "settings", b"new")
"""


@contextmanager
def killed_in_the_end(folder: Path) -> Iterator[None]:
    """Run a process that has a temporary folder, a copy and a half-written file."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        yield
        process.kill()


def test_what_a_living_process_uses_stays_and_a_killed_ones_goes(tmp_path: Path) -> None:
    kept = ["data", ".settings.bad", "language-model.txt"]
    for name in kept:
        (tmp_path / name).touch()
    with killed_in_the_end(tmp_path):
        before = {path.name for path in tmp_path.iterdir()}
        assert len(before) == 3 + len(kept)
        sweep(tmp_path, tmp_path / "nowhere")
        assert {path.name for path in tmp_path.iterdir()} == before
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_the_systems_folder_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder() as used:
        assert used.parent == tmp_path
        assert used.stat().st_mode & 0o777 == 0o700
        left = used.with_name(f"{used.name}1")
        left.mkdir()
        (left / "file").touch()
        sweep()
        assert used.exists()
        assert not left.exists()
    assert not used.exists()


def test_a_renamed_folder_stays(tmp_path: Path) -> None:
    with held_folder(tmp_path / f".copy{UNFINISHED}") as made:
        (made / "file").touch()
        made.rename(tmp_path / "copy")
    sweep(tmp_path)
    assert (tmp_path / "copy" / "file").exists()


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    os.mkfifo(tmp_path / f"pipe{UNFINISHED}")
    (tmp_path / f"link{UNFINISHED}").symlink_to(outside)
    (tmp_path / f"circle{UNFINISHED}").symlink_to(tmp_path / f"circle{UNFINISHED}")
    sweep(tmp_path)
    assert outside.exists()
    assert not (tmp_path / f"pipe{UNFINISHED}").exists()
    remove_unused([tmp_path / "gone"])


def test_what_was_swept_before_it_was_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hold(tmp_path / "gone") is None
    real, swept = os.open, []

    def sweep_first(path: Path, *arguments: int) -> int:
        if not swept and Path(path).name.endswith(UNFINISHED):
            swept.append(path)
            remove_unused([Path(path)])
        return real(path, *arguments)

    monkeypatch.setattr("playground.core.system.temporary.os.open", sweep_first)
    write_atomically(tmp_path / "settings", b"new")
    assert swept
    assert (tmp_path / "settings").read_bytes() == b"new"
