"""Where settings, data, cache and logs lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.core.system import paths


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
