"""Lists, shows, compares, reports, exports and grades kept evaluations."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from playground.cli.console import Console
from playground.core.errors import OptionsError, PlaygroundError
from playground.core.system import paths
from playground.core.system.files import write_atomically
from playground.evaluation.report.forms import (
    lines_of,
    markdown_of,
    page_of,
    table_of,
    write_bundle,
)
from playground.evaluation.report.summary import ContestantSummary
from playground.evaluation.report.text import HEAD, Report, report_of
from playground.evaluation.run.grading import grade_item
from playground.evaluation.store.records import KeptEvaluation
from playground.evaluation.store.store import EvaluationReader, EvaluationStore


def list_evaluations(args: argparse.Namespace) -> int:
    """Print the kept evaluations, the newest first. Raises PlaygroundError."""
    console = Console(json=args.json)
    with EvaluationReader(paths.evaluations_file()) as reader:
        rows = reader.rows()
    table = [("number", "when", "state", "suite", "answers", "contestants")]
    for row in rows:
        when = datetime.fromtimestamp(row.created).strftime("%Y-%m-%d %H:%M")
        who = ", ".join(one.how for one in row.contestants)
        table.append(
            (str(row.id), when, row.state, row.suite, f"{row.asked:,} of {row.planned:,}", who)
        )
        console.event(
            "evaluation",
            number=row.id,
            created=row.created,
            state=row.state,
            suite=row.suite,
            asked=row.asked,
            planned=row.planned,
            contestants=[one.how for one in row.contestants],
        )
    if rows:
        console.table(table, left=(1, 2, 3, 5))
    else:
        console.print("There are no evaluations. Begin one with `playground eval run starter`.")
    return 0


def show_evaluation(args: argparse.Namespace) -> int:
    """Print one evaluation's figures and verdicts. Raises PlaygroundError."""
    print_report(_kept(args.number), Console(json=args.json))
    return 0


def report_evaluation(args: argparse.Namespace) -> int:
    """Write one evaluation's report. Raises PlaygroundError."""
    console, report = Console(json=args.json), report_of(_kept(args.number))
    if not (args.html or args.markdown):
        raise OptionsError("No file was named.", "Name one with --html or --markdown.")
    for path, text in ((args.html, page_of), (args.markdown, markdown_of)):
        if path is not None:
            _write(path, text(report))
            console.event("written", file=str(path))
            console.print(f"{path} is written.")
    return 0


def export_evaluation(args: argparse.Namespace) -> int:
    """Write one evaluation's results: .jsonl, .csv or .zip. Raises PlaygroundError."""
    console, evaluation = Console(json=args.json), _kept(args.number)
    match args.output.suffix.lower():
        case ".jsonl":
            _write(args.output, lines_of(evaluation))
        case ".csv":
            _write(args.output, table_of(evaluation))
        case ".zip":
            write_bundle(evaluation, args.output)
        case _:
            raise OptionsError(
                f"{args.output.name} has no ending that is known.",
                "Let it end with .jsonl (every answer), .csv (outcomes) or .zip (everything).",
            )
    console.event("written", file=str(args.output))
    console.print(f"{args.output} is written.")
    return 0


def grade_again(number: int, console: Console) -> int:
    """Grade one evaluation's answers again, which asks no model. Raises PlaygroundError."""
    with EvaluationStore(paths.evaluations_file()) as store:
        evaluation = store.evaluation(number)
        cases = evaluation.cases
        for position, contestant in enumerate(evaluation.contestants):
            grades = {
                case_id: grade
                for case_id, item in contestant.items.items()
                if (grade := grade_item(item.answer, cases[case_id])) is not None
            }
            store.regrade(number, position, grades)
        print_report(store.evaluation(number), console)
    return 0


def delete_evaluation(args: argparse.Namespace) -> int:
    """Remove one evaluation. Raises PlaygroundError."""
    console = Console(json=args.json)
    with EvaluationStore(paths.evaluations_file()) as store:
        store.evaluation(args.number)
        store.delete(args.number)
    console.event("deleted", number=args.number)
    console.print(f"Evaluation {args.number} is deleted.")
    return 0


def print_report(evaluation: KeptEvaluation, console: Console) -> None:
    """Print an evaluation's figures and verdicts."""
    report = report_of(evaluation)
    for position, one in enumerate(report.summaries):
        console.event("contestant", **_fields(report, position, one))
    console.print(report.plan)
    console.table([HEAD, *report.rows], left=(0,))
    for label, text in report.sentences:
        console.print(f"{label}: {text}")


def _fields(report: Report, position: int, one: ContestantSummary) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "evaluation": report.evaluation.id,
        "contestant": position,
        "label": one.label,
        "reference": position == report.evaluation.plan.reference,
        "state": report.evaluation.state,
        "right": one.tally.right,
        "graded": one.tally.graded,
        "no_answer": one.tally.no_answer,
        "hit_limit": one.tally.hit_limit,
        "not_graded": one.tally.errors + one.tally.skipped,
        "wilson": [one.share.low, one.share.high],
        "seconds_p50": one.seconds,
        "tokens_per_second": one.rate,
        "memory_bytes": one.memory_bytes,
        "failure": one.failure,
    }
    loaded = report.evaluation.contestants[position].loaded
    if loaded is not None:
        fields["verified"] = msgspec.to_builtins(loaded.verified)
        fields["commit"] = loaded.request.commit
    if one.verdict is not None and one.paired is not None:
        counts = one.paired.counts
        fields |= {
            "a": counts.both,
            "b": counts.lane_only,
            "c": counts.reference_only,
            "d": counts.neither,
            "flips_down": list(one.paired.flips_down),
            "flips_up": list(one.paired.flips_up),
            "interval": [one.verdict.interval.low, one.verdict.interval.high],
            "kind": one.verdict.kind,
            "further": one.verdict.further,
            "sentence": one.verdict.text,
        }
    return fields


def _kept(number: int) -> KeptEvaluation:
    with EvaluationReader(paths.evaluations_file()) as reader:
        return reader.evaluation(number)


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise PlaygroundError(
            f"{path} could not be written: {error.strerror or error}.", "Choose another place."
        ) from error
