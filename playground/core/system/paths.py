"""Where the playground keeps its files: one place for every folder outside the program itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

APPLICATION = "language-model-playground"
#: With this variable set every folder below lies in the folder it names (portable use, tests).
HOME_VARIABLE = "PLAYGROUND_HOME"


def config_dir() -> Path:
    """Settings."""
    return _dir("config", platformdirs.user_config_path)


def data_dir() -> Path:
    """What the user made: histories, evaluation runs, quantized models."""
    return _dir("data", platformdirs.user_data_path)


def library_dir() -> Path:
    """Models that were made here; the list of local models always has them."""
    return data_dir() / "models"


def cache_dir() -> Path:
    """What can be made again."""
    return _dir("cache", platformdirs.user_cache_path)


def log_dir() -> Path:
    """Log files."""
    return _dir("log", platformdirs.user_log_path)


def log_file() -> Path:
    return log_dir() / "playground.log"


def settings_file() -> Path:
    return config_dir() / "settings.toml"


def _dir(name: str, standard: Callable[..., Path]) -> Path:
    """The folder, which need not exist: whoever writes makes it."""
    home = os.environ.get(HOME_VARIABLE, "")
    if home:
        return Path(home).expanduser().absolute() / name
    return standard(APPLICATION, appauthor=False)
