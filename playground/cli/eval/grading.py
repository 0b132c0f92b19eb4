"""Grades outputs that were made anywhere: `playground eval grade`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from playground.cli.console import Console
from playground.cli.eval.results import grade_again
from playground.core.errors import OptionsError
from playground.evaluation.case import Case, GraderKind, GraderSpec
from playground.evaluation.grade import Grade, GradeState
from playground.evaluation.graders.benchmarks import (
    Scored,
    bbh_normal,
    bbh_strict,
    gsm8k_flexible,
    gsm8k_normal,
    gsm8k_strict,
)
from playground.evaluation.graders.grade import grade
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


def grade_file(args: argparse.Namespace) -> int:
    """Print each output's grades, and how many are right. Raises PlaygroundError."""
    console = Console(json=args.json)
    if str(args.outputs).isdecimal():
        return grade_again(int(str(args.outputs)), console)
    if not args.kind:
        raise OptionsError("No grader was named.", "Name one with --as, such as --as number.")
    kind, options = GraderKind(args.kind), _options(args.option)
    table = _table(args)
    right = dict.fromkeys(_COLUMNS, 0.0)
    for number, row in enumerate(table.rows):
        output, targets = _output(row, table), _texts(row.values.get("target"))
        if not targets:
            raise SuiteError(table.name, "it has no target.", "Write the right answer.", row.line)
        case = Case(
            id=f"{number}",
            input="",
            targets=targets,
            grader=GraderSpec(kind, options),
            choices=_texts(row.values.get("choices")),
            schema=str(row.values.get("schema") or ""),
        )
        found = grade(output, case)
        columns = _columns(output, case, found)
        for name in _COLUMNS:
            right[name] += columns[name]["score"] or 0.0
        console.event(
            "graded",
            line=row.line,
            **columns,
            state=found.state,
            how=found.how,
            note=found.note,
        )
        console.print(_line(row, columns, found))
    count = len(table.rows)
    for name in _COLUMNS if kind in (GraderKind.GSM8K, GraderKind.BBH) else ("normalised",):
        interval = wilson(round(right[name]), count)
        console.note(
            f"{name}: {right[name]:g} of {count:,} right "
            f"({interval.low:.1%} to {interval.high:.1%}, 95 %)"
        )
    return 0


def _table(args: argparse.Namespace) -> Table:
    if str(args.outputs) != "-":
        return read_table(args.outputs)
    data = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OptionsError("The input has more than 64 MB.", "Grade it in several parts.")
    return parse_json_lines(decoded(data, "stdin"), "stdin")


def _output(row: Row, table: Table) -> str:
    value = row.values.get("output")
    if not isinstance(value, str):
        raise SuiteError(
            table.name, "it has no output.", "Write what the model answered as `output`.", row.line
        )
    return value


def _columns(output: str, case: Case, found: Grade) -> dict[str, dict[str, Any]]:
    """Return the three columns; of a grader without the harness' own way they are the same."""
    gold = case.targets[0]
    if case.grader.kind is GraderKind.GSM8K:
        return {
            "strict": _fields(gsm8k_strict(output, gold)),
            "flexible": _fields(gsm8k_flexible(output, gold)),
            "normalised": _fields(gsm8k_normal(output, gold)[0]),
        }
    if case.grader.kind is GraderKind.BBH:
        strict = _fields(bbh_strict(output, gold))
        normalised = _fields(bbh_normal(output, gold)[0])
        return {"strict": strict, "flexible": strict, "normalised": normalised}
    value = found.value if found.state is GradeState.GRADED else None
    return {name: {"value": value, "score": found.score} for name in _COLUMNS}


def _fields(scored: Scored) -> dict[str, Any]:
    return {"value": scored.value, "score": scored.score}


def _line(row: Row, columns: dict[str, dict[str, Any]], found: Grade) -> str:
    shown = columns["normalised"]
    mark = "right" if shown["score"] == 1.0 else "wrong"
    if found.state is not GradeState.GRADED:
        mark = found.state.value
    value = "" if shown["value"] is None else f": {str(shown['value'])[:60]!r}"
    return f"{row.line:>6}  {mark}{value}{f' ({found.note})' if found.note else ''}"


def _options(given: list[str]) -> dict[str, str]:
    options = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise OptionsError(f"{text!r} is no option.", "Write NAME=VALUE, as tolerance=0.01.")
        options[name] = value
    return options


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(one) for one in value)
    return () if value is None or value == "" else (str(value),)
