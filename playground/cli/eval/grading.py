"""Grades outputs that were made anywhere: `playground eval grade`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from playground.cli.console import Console
from playground.cli.eval.results import grade_again
from playground.cli.options import shown
from playground.core.errors import OptionsError
from playground.core.format import NOTHING
from playground.evaluation.case import Case, GraderKind, GraderSpec
from playground.evaluation.grade import Grade, GradeState
from playground.evaluation.graders.grade import GRADERS, grade
from playground.evaluation.statistics import wilson
from playground.evaluation.suites.errors import SuiteError
from playground.evaluation.suites.table import (
    MOST_BYTES,
    Row,
    Table,
    decoded,
    parse_json_lines,
    read_table,
)

#: The columns of a grade, in their order.
_COLUMNS = ("strict", "flexible", "normalised")
_VALUE = 40  # characters of a value in the table


def grade_file(args: argparse.Namespace) -> int:
    """Print each output's grades, and how many are right. Raises PlaygroundError."""
    console = Console(json=args.json)
    if str(args.outputs).isdecimal():
        return grade_again(int(str(args.outputs)), console)
    if not args.kind:
        raise OptionsError("No grader was named.", "Name one with --as, such as --as number.")
    spec = GraderSpec(GraderKind(args.kind), _options(args.option, GraderKind(args.kind)))
    table = _table(args)
    rows = [("line", "", "value", *_named(spec.kind))]
    totals = dict.fromkeys(_named(spec.kind), 0.0)
    graded = 0
    for row in table.rows:
        found = grade(*_asked(row, table, spec))
        columns = _columns(found)
        console.event(
            "graded",
            line=row.line,
            **columns,
            state=found.state,
            how=found.how or "none",
            note=found.note,
        )
        rows.append(_cells(row, found, columns, spec.kind))
        if found.score is not None:
            graded += 1
            for name in totals:
                totals[name] += columns[name]["score"]
    console.table(rows, left=(1, 2))
    for name, right in totals.items():
        if spec.kind is GraderKind.F1 and name == "flexible":
            console.note(f"mean F1: {right / graded if graded else 0:.3f}")
            continue
        interval = wilson(round(right), graded)
        console.note(
            f"{name}: {right:g} of {graded:,} right "
            f"({interval.low:.1%} to {interval.high:.1%}, 95 %)"
        )
    if failed := len(table.rows) - graded:
        console.warn(f"{failed:,} of {len(table.rows):,} lines could not be graded.")
    return 1 if failed else 0


def _named(kind: GraderKind) -> tuple[str, ...]:
    """Return the columns that differ for a grader."""
    if kind in (GraderKind.GSM8K, GraderKind.BBH):
        return _COLUMNS
    return _COLUMNS[1:] if kind is GraderKind.F1 else _COLUMNS[2:]


def _asked(row: Row, table: Table, spec: GraderSpec) -> tuple[str, Case, str]:
    """Return a line's output, its case, and how the output ended."""
    values = row.values
    output = values.get("output")
    if not isinstance(output, str):
        raise SuiteError(
            table.name, "it has no output.", "Write what the model answered as `output`.", row.line
        )
    schema = values.get("schema") or ""
    case = Case(
        id=str(row.line),
        input="",
        targets=_texts(values.get("target")),
        grader=spec,
        choices=_texts(values.get("choices")),
        schema=schema if isinstance(schema, str) else json.dumps(schema),
    )
    if not case.targets and not case.schema:
        raise SuiteError(table.name, "it has no target.", "Write the right answer.", row.line)
    return output, case, str(values.get("stop_reason") or "")


def _columns(found: Grade) -> dict[str, dict[str, Any]]:
    """Return the three columns; where a grader has no other way, they are its own grade."""
    own = {"value": found.value or None, "score": found.score}
    other = {
        name: {"value": column.value, "score": column.score}
        for name, column in found.columns.items()
    }
    return {"strict": own, "flexible": own, **other, "normalised": own}


def _cells(
    row: Row, found: Grade, columns: dict[str, dict[str, Any]], kind: GraderKind
) -> tuple[str, ...]:
    """Return a line of the table."""
    words = "right" if found.score == 1.0 else "wrong"
    if found.state is not GradeState.GRADED:
        words = found.state.value
    text = found.value or found.note
    value = text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
    scores = (columns[name]["score"] for name in _named(kind))
    return (
        str(row.line),
        words,
        value,
        *(NOTHING if score is None else f"{score:.3g}" for score in scores),
    )


def _table(args: argparse.Namespace) -> Table:
    if str(args.outputs) != "-":
        return read_table(args.outputs)
    data = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OptionsError("The input has more than 64 MB.", "Grade it in several parts.")
    return parse_json_lines(decoded(data, "stdin"), "stdin")


def _options(given: list[str], kind: GraderKind) -> dict[str, str]:
    allowed = GRADERS[kind][1]
    options = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise OptionsError(
                f"{shown(text)} is no option.", "Write NAME=VALUE, as tolerance=0.01."
            )
        if name not in allowed:
            takes = f"It takes {' and '.join(sorted(allowed))}." if allowed else "It takes none."
            raise OptionsError(f"The grader {kind} has no option {shown(name)}.", takes)
        options[name] = value
    return options


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(map(_text, value))
    return () if value is None or value == "" else (_text(value),)


def _text(value: object) -> str:
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
