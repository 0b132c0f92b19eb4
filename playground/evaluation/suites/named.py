"""Finds a suite by what the user calls it: a file, `starter`, `gsm8k` or `bbh/TASK`."""

from __future__ import annotations

from pathlib import Path

from playground.core.system import paths
from playground.core.system.reader import is_file
from playground.core.system.resources import resource
from playground.evaluation.case import Suite
from playground.evaluation.suites.benchmarks import BBH_SHOTS, GSM8K_SHOTS, bbh, gsm8k
from playground.evaluation.suites.errors import SuiteError
from playground.evaluation.suites.files import read_suite

STARTER = "starter"


def find_suite(name: str, folder: Path | None = None, shots: int | None = None) -> Suite:
    """Return a suite. `folder` holds the benchmarks' files, `shots` are their examples.

    Raises PlaygroundError.
    """
    if name == STARTER:
        return read_suite(starter_path())
    if name == "gsm8k" or name.startswith("bbh/"):
        place = folder or paths.benchmarks_dir()
        if name == "gsm8k":
            return gsm8k(place, GSM8K_SHOTS if shots is None else shots)
        return bbh(place, name.removeprefix("bbh/"), BBH_SHOTS if shots is None else shots)
    path = Path(name).expanduser()
    if not is_file(path):
        raise SuiteError(
            name,
            "there is no such file or suite.",
            "Name a CSV or JSONL file, starter, gsm8k or bbh/TASK.",
        )
    return read_suite(path)


def starter_path() -> Path:
    """Return where the suite is that ships with the playground."""
    return resource("suites", "starter.csv")
