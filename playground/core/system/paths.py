"""Names every folder and file that the playground keeps outside the program itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from playground.core.errors import FileError, PlaygroundError

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


def evaluations_file() -> Path:
    return data_dir() / "evaluations.sqlite"


def suites_dir() -> Path:
    """Return the folder of the user's own suites."""
    return data_dir() / "suites"


def benchmarks_dir() -> Path:
    """Return the folder of the benchmarks that were downloaded."""
    return data_dir() / "benchmarks"


def settings_file() -> Path:
    return config_dir() / "settings.toml"


def full_path(path: str | Path) -> Path:
    """Return the absolute path; "~" and "~name" stand for home directories.

    Raises FileError where there is no such home directory, or no current folder any more.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        problem = "begins with a home directory that is not known here"
        raise FileError(str(path), problem, remedy="Write the whole path.") from error
    except OSError as error:
        problem = "cannot be found: the folder that this program was started in is gone"
        raise FileError(str(path), problem, remedy="Change to a folder that exists.") from error


def _dir(name: str, standard: Callable[..., Path]) -> Path:
    """Return a folder, which need not exist: whoever writes to it creates it.

    Raises PlaygroundError where there is no home directory to put it in.
    """
    home = os.environ.get(HOME_VARIABLE, "")
    try:
        return full_path(home) / name if home else standard(APPLICATION, appauthor=False)
    except (FileError, RuntimeError) as error:
        raise PlaygroundError(
            f"{HOME_VARIABLE} names a home directory that is not known here: {home}."
            if home
            else "There is no home directory here in which the playground could keep its files.",
            f"Name a folder by its whole path in {HOME_VARIABLE}.",
            str(error),
        ) from error
