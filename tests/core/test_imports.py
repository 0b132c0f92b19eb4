"""The dependency rules: of the packages in fresh interpreters, of their folders in the source."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import playground

PACKAGE = Path(playground.__path__[0])
ROOT = PACKAGE.parent

TORCH = {"torch", "transformers", "bitsandbytes", "gptqmodel", "optimum"}
QT = {"PySide6", "pyqtgraph"}
SIDES = {
    "core": TORCH | QT | {"huggingface_hub", "psutil"},
    "client": TORCH | QT | {"playground.gui", "playground.engine", "playground.hub"},
    "hub": TORCH | QT | {"playground.gui", "playground.engine"},
    "history": TORCH | QT | {"playground.gui", "playground.engine", "playground.client"},
    "evaluation": TORCH | QT | {"playground.gui", "playground.engine", "playground.client"},
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


#: The folders of each package from the ground up; those in one set do not know each other. A
#: module at a package's root has the layer ".", where it is not named itself.
LAYERS: dict[str, list[set[str]]] = {
    "core": [
        {"errors"},
        {"system"},
        {"."},
        {"model"},
        {"memory"},
        {"quantizing"},
        {"protocol"},
        {"lane"},
        {"settings"},
    ],
    "engine": [
        {"machine", "wire"},
        {"remote"},
        {"prompts"},
        {"loading", "decoding"},
        {"cpu_step", "cuda_graph", "quantizing", "scoring"},
        {"serving"},
        {"."},
    ],
    "client": [{"."}],
    "history": [{"."}, {"report"}],
    "evaluation": [{"."}, {"suites", "graders"}, {"store"}, {"run"}, {"report"}],
    "hub": [{"."}, {"site"}, {"local", "downloads"}, {"pages"}],
    "gui": [
        {"."},
        {"toolkit"},
        {"engines"},
        {"downloads"},
        {"context"},
        {"lanes", "browser", "environments", "memory"},
        {"figures", "model_page", "quantize", "reference", "remote_code", "servers"},
        {"models"},
        {"prompt"},
        {"history", "evaluation"},
        {"window"},
        {"settings"},
    ],
    "cli": [
        {"."},
        {"bench", "env", "eval", "history", "models", "quantize", "servers"},
        {"arguments"},
        {"main"},
    ],
}


def layer_of(module: str) -> tuple[str, int]:
    """The folder of a module, and how high it stands in its package."""
    _, side, *rest = module.split(".")
    names = [rest[0], "."] if rest else ["."]
    for name in names:
        for height, folders in enumerate(LAYERS[side]):
            if name in folders:
                return name, height
    raise AssertionError(f"{module} stands in no layer")


def imports_of(path: Path) -> Iterator[str]:
    """Every module of the playground that a file imports, at its head or later."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            folder = ROOT / node.module.replace(".", "/")
            if folder.is_dir():
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("side", LAYERS)
def test_a_folder_imports_only_from_those_below_it(side: str) -> None:
    wrong, seen = [], set()
    for path in sorted((PACKAGE / side).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(part for part in parts if part != "__init__")
        name, height = layer_of(module)
        seen.add(name)
        for imported in imports_of(path):
            if not imported.startswith(f"playground.{side}."):
                continue
            other, its = layer_of(imported)
            if other != name and its >= height:
                wrong.append(f"{module} imports {imported}")
    assert not wrong
    assert seen >= set().union(*LAYERS[side]) - {"."}


def test_only_the_settings_know_the_window() -> None:
    knowing = {
        path.parent.name
        for path in (PACKAGE / "gui").rglob("*.py")
        if any(name.startswith("playground.gui.window.") for name in imports_of(path))
    }
    assert knowing <= {"window", "settings"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(part for part in parts if part != "__init__")
        graph[module] = {name for name in imports_of(path) if name.startswith("playground.")}
    # Raises CycleError, which names the circle.
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) >= len(graph)
