"""The dependency rule, looked at in fresh interpreters."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import playground

TORCH = {"torch", "transformers", "bitsandbytes", "gptqmodel", "optimum"}
QT = {"PySide6", "pyqtgraph"}
SIDES = {
    "core": TORCH | QT | {"huggingface_hub", "psutil"},
    "client": TORCH | QT | {"playground.gui", "playground.engine", "playground.hub"},
    "hub": TORCH | QT | {"playground.gui", "playground.engine"},
    "gui": TORCH | {"playground.engine", "playground.cli", "playground.app"},
    "cli": TORCH | QT | {"playground.engine", "playground.gui"},
    "engine": QT | {"playground.gui", "playground.client", "playground.hub", "playground.cli"},
}


def modules_of(side: str) -> list[str]:
    package = f"playground.{side}"
    paths = [f"{playground.__path__[0]}/{side}"]
    return [package] + [
        info.name
        for info in pkgutil.walk_packages(paths, f"{package}.")
        if not info.name.endswith("__main__")
    ]


@pytest.mark.parametrize("side", SIDES)
def test_a_side_never_imports_what_it_must_not_know(side: str) -> None:
    names = modules_of(side)
    assert len(names) > 1
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert SIDES[side].isdisjoint(done.stdout.split())


def test_the_app_itself_never_imports_torch() -> None:
    program = "import sys, playground.app.main; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert TORCH.isdisjoint(done.stdout.split())
