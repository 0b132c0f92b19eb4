"""Lists, shows, exports, imports and deletes kept runs, and writes their reports."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from playground.cli.console import Console
from playground.core.format import NOTHING, plain_line, printable
from playground.core.system import paths
from playground.history.reader import HistoryReader
from playground.history.records import KeptRun, LaneRow, RunRow
from playground.history.report.bundle import differences_here, read_bundle, write_bundle
from playground.history.report.fields import run_fields
from playground.history.report.files import write_report
from playground.history.report.summary import HEAD, summarise
from playground.history.store import HistoryStore

#: Characters of a prompt in the list.
_TYPED = 50


def history(args: argparse.Namespace) -> int:
    """Carry out one action. Raises PlaygroundError."""
    console = Console(json=args.json)
    match args.action:
        case "list":
            with HistoryReader(paths.history_file()) as reader:
                rows = reader.runs(
                    args.search, model=args.model, precision=args.precision, limit=args.limit
                )
            _list(rows, console)
        case "show":
            _show(kept_run(args.run), console)
        case "export":
            write_bundle(kept_run(args.run), args.file)
            console.event("exported", run=args.run, file=str(args.file))
            console.print(f"Run {args.run} is saved as {args.file}.")
        case "import":
            _import(args.file, console)
        case _:
            _delete(args.runs, args.action == "delete", console)
    return 0


def report(args: argparse.Namespace) -> int:
    """Write a run's report. Raises PlaygroundError."""
    console = Console(json=args.json)
    summary = summarise(kept_run(args.run))
    chosen = {".html": args.html, ".md": args.markdown, ".json": args.json_file}
    suffix, path = next((suffix, path) for suffix, path in chosen.items() if path)
    write_report(summary, path, suffix)
    console.event("reported", run=args.run, file=str(path))
    console.print(f"The report of run {args.run} is saved as {path}.")
    return 0


def kept_run(number: int) -> KeptRun:
    """Return a run. Raises DatabaseError where there is none."""
    with HistoryReader(paths.history_file()) as reader:
        return reader.run(number)


def _list(rows: Sequence[RunRow], console: Console) -> None:
    for row in rows:
        console.event(
            "run",
            run=row.id,
            created=row.created,
            prompt=row.typed,
            state=row.state,
            lanes=[
                {"model": lane.model, "precision": lane.precision, "failure": lane.failure}
                for lane in row.lanes
            ],
        )
    if not rows:
        console.note("No run matches.")
        return
    table = [("run", "when", "state", "lanes", "prompt")]
    for row in rows:
        when = datetime.fromtimestamp(row.created).strftime("%Y-%m-%d %H:%M")
        typed = plain_line(row.typed.strip())
        cut = typed if len(typed) <= _TYPED else f"{typed[: _TYPED - 1]}…"
        table.append((str(row.id), when, row.state.value, _lanes(row.lanes), cut))
    console.table(table, left=(1, 2, 3, 4))


def _lanes(lanes: Sequence[LaneRow]) -> str:
    """Return the lanes in short: "bundled: bf16, int8"."""
    by_model: dict[str, list[str]] = {}
    for lane in lanes:
        precision = lane.precision.short_label if lane.precision else NOTHING
        by_model.setdefault(lane.model, []).append(precision)
    return "; ".join(f"{plain_line(model)}: {', '.join(p)}" for model, p in by_model.items())


def _show(run: KeptRun, console: Console) -> None:
    summary = summarise(run)
    console.event("run", **run_fields(summary))
    console.print(f"Run {run.row.id}, {summary.created}, {run.row.state.value}")
    console.print(", ".join(f"{name.lower()} {value}" for name, value in summary.options))
    console.print(f"\n{printable(run.request.typed)}\n")
    for lane in summary.lanes:
        star = "★ " if lane.is_reference else ""
        console.print(f"— {star}{lane.name} ({lane.ending})")
        console.print(f"{printable(lane.text)}\n")
    console.table([("", *HEAD), *((lane.name, *lane.cells) for lane in summary.lanes)])


def _import(path: Path, console: Console) -> None:
    run = read_bundle(path)
    with HistoryStore(paths.history_file()) as store, store.transaction():
        number = store.add(run)
    lines = differences_here(run)
    console.event("imported", run=number, differences=lines)
    console.print(f"It is run {number} now.")
    for line in lines:
        console.print(f"Differs: {line}.")


def _delete(runs: Sequence[int], deleted: bool, console: Console) -> None:
    path = paths.history_file()
    with HistoryReader(path) as reader:
        for number in runs:
            reader.run(number)  # raises where there is none
    with HistoryStore(path) as store, store.transaction():
        store.delete(runs, deleted=deleted)
    action = "deleted" if deleted else "restored"
    console.event(action, runs=list(runs))
    console.print(f"{', '.join(map(str, runs))}: {action}.")
