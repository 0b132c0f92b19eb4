"""Starts engines in other Python environments, and checks whether one can run there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from playground.client.engine_process import EngineProcess
from playground.core.environments import OWN, REMOTE, EngineEnvironment, find
from playground.core.errors import EngineError
from playground.core.facts import EngineFacts
from playground.core.model.checkpoint import library_reason
from playground.core.precision import LOADABLE, Precision
from playground.core.protocol import Failed, Ready
from playground.core.system import paths
from playground.core.system.temporary import temporary_folder

#: Seconds that an interpreter may take to start and look for the engine's libraries.
_PYTHON_WAIT_S = 20.0
LEAST_PYTHON = (3, 11)
#: Libraries that an engine needs: pip's name by import name.
NEEDED = {
    "torch": "torch",
    "transformers": "transformers",
    "accelerate": "accelerate",
    "msgspec": "msgspec",
    "numpy": "numpy",
    "platformdirs": "platformdirs",
}
_SHOWN = ("torch", "transformers", "gptqmodel", "auto_gptq", "bitsandbytes")
_LOOK = """
import importlib.util, json, platform, sys
missing = [n for n in json.loads(sys.argv[1]) if importlib.util.find_spec(n) is None]
print(json.dumps({"python": platform.python_version(), "missing": missing}))
"""


def process_of(name: str, environments: Sequence[EngineEnvironment]) -> EngineProcess:
    """Return an engine in the environment of this name, not started yet.

    OWN is this Python, REMOTE an engine that passes prompts to a server.

    Raises PlaygroundError where the environment no longer exists.
    """
    if name == OWN:
        return EngineProcess()
    if name == REMOTE:
        return EngineProcess([sys.executable, "-m", "playground.engine.remote"])
    environment = find(environments, name)
    try:
        look_path(environment.python)
    except EngineError as error:
        raise EngineError(
            f"The environment {name} is gone: there is no Python at {environment.python}.",
            "Create it again, or choose another one.",
        ) from error
    return make_process(environment)


def make_process(environment: EngineEnvironment) -> EngineProcess:
    """Return an engine in another Python, not started yet."""
    command = [environment.python, "-X", "faulthandler", "-m", "playground.engine"]
    return EngineProcess(command, {"PYTHONPATH": str(_package_folder()), "PYTHONHOME": ""})


def look_path(python: str) -> Path:
    """Return the interpreter's path. Raises EngineError where there is no interpreter."""
    path = Path(python)
    if not path.is_absolute() or not path.is_file():
        raise EngineError(
            f"There is no Python at {python}.",
            "Give the full path of its executable, such as /home/me/venv/bin/python.",
        )
    return path


def look(python: str) -> str:
    """Return the interpreter's version. Raises EngineError where no engine can run in it."""
    path = look_path(python)
    try:
        done = subprocess.run(
            [str(path), "-I", "-c", _LOOK, json.dumps(list(NEEDED))],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PYTHON_WAIT_S,
            env=bare(os.environ),
            check=True,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        version, missing = str(found["python"]), [str(name) for name in found["missing"]]
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, LookupError) as error:
        raise EngineError(
            f"{python} does not run as a Python.",
            "Give the path of the executable of a Python environment.",
            f"{error!r}\n{getattr(error, 'stderr', '') or ''}",
        ) from error
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_PYTHON:
        raise EngineError(
            f"{python} is Python {version}, and an engine needs 3.11.",
            "Create the environment with a newer Python.",
        )
    if missing:
        packages = " ".join(NEEDED[name] for name in missing)
        raise EngineError(
            f"The environment of {python} lacks {', '.join(missing)}.",
            f"Run `{python} -m pip install {packages}`.",
        )
    return version


def check(environment: EngineEnvironment) -> EngineFacts:
    """Start an engine in the environment and return its facts; takes seconds.

    Raises EngineError where the engine does not become ready.
    """
    look(environment.python)
    with make_process(environment) as process:
        for event in process.events():
            if isinstance(event, Ready):
                return event.facts
            if isinstance(event, Failed):
                raise EngineError(event.message, event.remedy, event.detail)
        outcome = process.outcome()
    raise EngineError(
        f"The engine of {environment.name} ended before it was ready: {outcome.text}",
        f"Look at what `{environment.python} -m pip check` says.",
        outcome.detail,
    )


def precisions(facts: EngineFacts) -> dict[Precision, str]:
    """Return why each precision is not available in an environment; "" where it is."""
    return {p: library_reason(p, "cpu", facts) for p in LOADABLE}


def shown_versions(facts: EngineFacts) -> dict[str, str]:
    """Return the versions of the libraries that distinguish environments."""
    return {name: facts.versions[name] for name in _SHOWN if name in facts.versions}


def bare(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables without those that lead one Python to another's packages."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {name: value for name, value in env.items() if name not in hidden}


def _package_folder() -> Path:
    """Return a folder that holds a link to this package and nothing else.

    The package's own parent folder may hold packages built for this Python.
    """
    package = Path(__file__).resolve().parents[1]
    folder = paths.cache_dir() / "engine-path"
    link = folder / package.name
    try:
        if link.is_symlink() and link.resolve() == package:
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as temporary:
            new = temporary / package.name
            new.symlink_to(package)
            new.replace(link)
    except OSError as error:
        raise EngineError(
            f"The playground cannot be linked for another Python: {error.strerror or error}.",
            f"Make {folder} writable, or name another folder in {paths.HOME_VARIABLE}.",
            str(error),
        ) from error
    return folder
