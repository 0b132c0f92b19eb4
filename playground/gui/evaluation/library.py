"""The suites and evaluations that the workspace lists; everything here reads or writes the disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from playground.core.errors import PlaygroundError
from playground.core.system import paths
from playground.evaluation.case import Suite
from playground.evaluation.store.records import EvaluationRow, KeptEvaluation
from playground.evaluation.store.store import EvaluationReader, EvaluationStore
from playground.evaluation.suites.files import read_suite, write_suite
from playground.evaluation.suites.named import STARTER, find_suite, starter_path

#: The suite that prompts of the lanes are kept in.
KEPT = "kept prompts.csv"


@dataclass(frozen=True)
class Listed:
    """What the workspace offers: one's own suites, benchmarks here, and earlier evaluations."""

    suites: tuple[Path, ...]
    benchmarks: tuple[str, ...]
    evaluations: tuple[EvaluationRow, ...]
    problem: str = ""


def listed() -> Listed:
    """Return what there is. An unreadable file of evaluations is told, and the rest is listed."""
    folder = paths.suites_dir()
    suites = sorted(path for path in folder.glob("*") if path.suffix in (".csv", ".jsonl"))
    place = paths.benchmarks_dir()
    names = ["gsm8k"] if (place / "gsm8k" / "test.jsonl").is_file() else []
    names += [f"bbh/{path.stem}" for path in sorted((place / "bbh").glob("*.json"))]
    problem, rows = "", []
    try:
        with EvaluationReader(paths.evaluations_file()) as reader:
            rows = reader.rows()
    except PlaygroundError as error:
        problem = str(error)
    return Listed(tuple(suites), tuple(names), tuple(rows), problem)


def load_suite(name: str) -> tuple[str, Suite, bool]:
    """Return a suite by path or name, and whether it is one's own. Raises PlaygroundError."""
    suite = find_suite(name)
    own = name != STARTER and not name.startswith(("gsm8k", "bbh/"))
    return name, suite, own


def save_suite(path: Path, suite: Suite) -> None:
    """Write a suite of one's own. Raises PlaygroundError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_suite(suite, path)


def new_path(stem: str) -> Path:
    """Return a file for a new suite that does not exist yet."""
    folder, number = paths.suites_dir(), 1
    path = folder / f"{stem}.csv"
    while path.exists():
        number += 1
        path = folder / f"{stem} {number}.csv"
    return path


def kept_suite() -> Suite:
    """Return the suite of kept prompts, empty where there is none. Raises PlaygroundError."""
    path = paths.suites_dir() / KEPT
    return read_suite(path) if path.is_file() else Suite(name=KEPT, cases=())


def load_evaluation(number: int) -> KeptEvaluation:
    """Return a kept evaluation. Raises PlaygroundError."""
    with EvaluationReader(paths.evaluations_file()) as reader:
        return reader.evaluation(number)


def delete_evaluation(number: int) -> int:
    """Remove an evaluation; return its number. Raises PlaygroundError."""
    with EvaluationStore(paths.evaluations_file()) as store:
        store.delete(number)
    return number


def starter_name() -> str:
    """Return the name of the file of the suite that ships."""
    return starter_path().name
