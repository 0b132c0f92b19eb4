"""Where settings, data, cache and logs lie."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from playground.core.errors import FileError, PlaygroundError
from playground.core.system import paths
from playground.core.system.log import start_log


def test_one_variable_moves_every_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    folders = {paths.config_dir(), paths.data_dir(), paths.cache_dir(), paths.log_dir()}
    assert len(folders) == 4
    assert all(folder.parent == tmp_path for folder in folders)
    assert paths.settings_file().parent == paths.config_dir()
    assert not any(tmp_path.iterdir())


def test_without_it_the_system_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(paths.HOME_VARIABLE, raising=False)
    assert paths.APPLICATION in str(paths.config_dir())
    assert paths.config_dir().is_absolute()


@pytest.mark.parametrize("path", ["~nosuchuser", "~nosuchuser/models"])
def test_an_unknown_home_directory_is_a_sentence(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileError, match="not known here"):
        paths.full_path(path)
    monkeypatch.setenv(paths.HOME_VARIABLE, path)
    with pytest.raises(PlaygroundError, match=paths.HOME_VARIABLE):
        paths.settings_file()
    start_log()  # goes without a file


def test_a_user_without_a_home_is_told_what_to_set() -> None:
    program = (
        "import os, pwd\n"
        "pwd.getpwuid = lambda uid: {}[uid]\n"  # as for a user that the system does not know
        "from playground.core.system import paths\n"
        "from playground.core.errors import PlaygroundError\n"
        "try: paths.settings_file()\n"
        "except PlaygroundError as error: print(error)\n"
    )
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HOME", paths.HOME_VARIABLE) and not name.startswith("XDG_")
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=kept, capture_output=True, text=True, check=True
    )
    assert "no home directory" in done.stdout
    assert paths.HOME_VARIABLE in done.stdout


def test_a_folder_that_is_gone_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileError, match="is gone"):
        paths.full_path("model")
