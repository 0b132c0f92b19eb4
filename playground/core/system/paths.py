"""Names every folder and file that the playground keeps outside the program itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

APPLICATION = "language-model-playground"
#: If this variable is set, all folders below lie in the folder it names (portable use, tests).
HOME_VARIABLE = "PLAYGROUND_HOME"


def config_dir() -> Path:
    """Return the folder of the settings."""
    return _dir("config", platformdirs.user_config_path)


def data_dir() -> Path:
    """Return the folder of what the user made: quantized models, environments, downloads."""
    return _dir("data", platformdirs.user_data_path)


def library_dir() -> Path:
    """Return the folder of models made here, which the list of local models always includes."""
    return data_dir() / "models"


def cache_dir() -> Path:
    """Return the folder of what can be made again."""
    return _dir("cache", platformdirs.user_cache_path)


def log_dir() -> Path:
    """Return the folder of log files."""
    return _dir("log", platformdirs.user_log_path)


def log_file() -> Path:
    return log_dir() / "playground.log"


def history_file() -> Path:
    return data_dir() / "history.sqlite"


def settings_file() -> Path:
    return config_dir() / "settings.toml"


def _dir(name: str, standard: Callable[..., Path]) -> Path:
    """Return a folder, which need not exist: whoever writes to it creates it."""
    home = os.environ.get(HOME_VARIABLE, "")
    if home:
        return Path(home).expanduser().absolute() / name
    return standard(APPLICATION, appauthor=False)
