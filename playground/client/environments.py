"""Engines in another Python: how they are started, and whether they would work at all."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from playground.client.engine_process import EngineProcess
from playground.core.environments import OWN, EngineEnvironment, find
from playground.core.errors import EngineError
from playground.core.facts import EngineFacts
from playground.core.model.checkpoint import library_reason
from playground.core.precision import Precision
from playground.core.protocol import Failed, Ready
from playground.core.system import paths

#: Seconds that starting an interpreter, and importing the engine's libraries in it, may take.
_PYTHON_WAIT_S = 20.0
LEAST_PYTHON = (3, 11)
#: What an engine needs there, by import name and by what pip calls it.
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
    """Return an engine, not started yet, in the environment of this name; "" is our own.

    Raises PlaygroundError where it is not there any more.
    """
    if name == OWN:
        return EngineProcess()
    environment = find(environments, name)
    try:
        look_path(environment.python)
    except EngineError as error:
        raise EngineError(
            f"The environment {name} is gone: there is no Python at {environment.python}.",
            "Make it again, or choose another one.",
        ) from error
    return make_process(environment)


def make_process(environment: EngineEnvironment) -> EngineProcess:
    """Return an engine of another Python that is not started yet."""
    command = [environment.python, "-X", "faulthandler", "-m", "playground.engine"]
    return EngineProcess(command, {"PYTHONPATH": str(_package_folder()), "PYTHONHOME": ""})


def look_path(python: str) -> Path:
    """Return the path of an interpreter. Raises EngineError where there is none."""
    path = Path(python)
    if not path.is_absolute() or not path.is_file():
        raise EngineError(
            f"There is no Python at {python}.",
            "Name the whole path of its executable, such as /home/me/venv/bin/python.",
        )
    return path


def look(python: str) -> str:
    """Return the version of the interpreter. Raises EngineError where no engine can run in it."""
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
            "Name the executable of a Python environment.",
            f"{error!r}\n{getattr(error, 'stderr', '') or ''}",
        ) from error
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_PYTHON:
        raise EngineError(
            f"{python} is Python {version}, and an engine needs 3.11.",
            "Make the environment with a newer Python.",
        )
    if missing:
        packages = " ".join(NEEDED[name] for name in missing)
        raise EngineError(
            f"The environment of {python} lacks {', '.join(missing)}.",
            f"Run `{python} -m pip install {packages}`.",
        )
    return version


def check(environment: EngineEnvironment) -> EngineFacts:
    """Start an engine in the environment and return what it found; takes seconds.

    Raises EngineError where it does not come to be ready.
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
    """Why each precision cannot be had in an environment; "" where it can."""
    return {p: library_reason(p, "cpu", facts) for p in Precision}


def shown_versions(facts: EngineFacts) -> dict[str, str]:
    """Versions of the libraries that tell environments apart."""
    return {name: facts.versions[name] for name in _SHOWN if name in facts.versions}


def bare(env: Mapping[str, str]) -> dict[str, str]:
    """Without what would lead one Python to another's packages."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {name: value for name, value in env.items() if name not in hidden}


def _package_folder() -> Path:
    """A folder with this package alone: beside it lie packages made for this Python."""
    package = Path(__file__).resolve().parents[1]
    folder = paths.cache_dir() / "engine-path"
    link = folder / package.name
    try:
        if link.is_symlink() and link.resolve() == package:
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            new = Path(temporary) / package.name
            new.symlink_to(package)
            new.replace(link)
    except OSError as error:
        raise EngineError(
            f"The playground cannot be made known to another Python: {error.strerror or error}.",
            f"Make {folder} writable, or name another folder in {paths.HOME_VARIABLE}.",
            str(error),
        ) from error
    return folder
