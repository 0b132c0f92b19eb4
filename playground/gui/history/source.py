"""Reads the history for its window; every function blocks, and belongs off the GUI thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.precision import Precision
from playground.gui.history.text import model_name
from playground.history.reader import HistoryReader
from playground.history.records import KeptRun, RunRow
from playground.history.report.bundle import differences_here, read_bundle
from playground.history.report.summary import RunReport, compare, summarise
from playground.history.writer import HistoryWriter
from playground.hub.local.resolve import resolve

#: Runs that are read at a time.
PAGE = 200
#: How long (s) reading waits for what is still to be written.
_WRITE_S = 5.0


@dataclass(frozen=True)
class Filters:
    """What is searched for: words, and a model and a precision of one of the lanes."""

    search: str = ""
    model: str = ""
    precision: Precision | None = None


@dataclass(frozen=True)
class Page:
    """Runs from `offset` on; `more` says whether others may follow."""

    rows: tuple[RunRow, ...]
    offset: int
    more: bool
    models: tuple[str, ...] | None = None  # of all runs, where they were read


@dataclass(frozen=True)
class Shown:
    """The selected run, or two of them, and their report."""

    runs: tuple[KeptRun, ...]
    report: RunReport


def read_page(writer: HistoryWriter, filters: Filters, offset: int) -> Page:
    """Return the next runs that match. Raises DatabaseError."""
    writer.flush(_WRITE_S)
    with HistoryReader(writer.path) as reader:
        rows = reader.runs(
            filters.search,
            model=filters.model,
            precision=filters.precision,
            limit=PAGE,
            offset=offset,
        )
        known = offset or filters.search  # typing does not change them
        models = None if known else tuple(reader.models())
    return Page(tuple(rows), offset, len(rows) == PAGE, models)


def read_shown(writer: HistoryWriter, ids: Sequence[int]) -> Shown:
    """Return one run, or the first two of several to compare. Raises DatabaseError."""
    writer.flush(_WRITE_S)
    with HistoryReader(writer.path) as reader:
        runs = tuple(reader.run(number) for number in ids[:2])
    return Shown(runs, summarise(runs[0]) if len(runs) == 1 else compare(*runs))


def missing_here(run: KeptRun, environments: Sequence[str], cache: Path | None) -> list[str]:
    """Return the models and engine environments that a run's lanes need and this machine lacks."""
    gone: dict[str, None] = {}
    for lane in run.request.lanes:
        if lane.server:
            continue  # whether it answers shows when it is asked
        try:
            resolve(lane.model, lane.precision, cache)
        except PlaygroundError:
            same = ModelSpec().source == lane.model.source
            name = "The bundled model" if same else model_name(lane.model.source)
            gone[f"{name} ({lane.precision.short_label})"] = None
        if lane.environment and lane.environment not in environments:
            gone[f"Environment {lane.environment}"] = None
    return list(gone)


def import_run(writer: HistoryWriter, path: Path) -> tuple[int, list[str]]:
    """Keep the run of a bundle; return its number, and how this machine differs.

    Raises PlaygroundError where the file is no bundle, or cannot be kept.
    """
    run = read_bundle(path)
    numbers: list[int] = []
    writer.add(run, numbers.append)
    writer.flush(_WRITE_S)
    if not numbers:
        raise PlaygroundError(
            f"The run of {path} could not be kept.", "Look at the history's last message."
        )
    return numbers[0], differences_here(run)
