"""Reads the suites of other tools: promptfoo, inspect, OpenAI evals, lm-evaluation-harness."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from playground.evaluation.case import Case, GraderKind, GraderSpec, Suite
from playground.evaluation.suites.errors import SuiteError
from playground.evaluation.suites.harness import read_task
from playground.evaluation.suites.kinds import ImportKind
from playground.evaluation.suites.table import Row, Table, read_table

#: Columns that hold the question, in the order in which they are looked for.
_QUESTIONS = ("input", "question", "prompt", "text", "message", "query")
_EXPECTED = re.compile(r"__expected\d*")
#: What promptfoo's assertions are here.
_ASSERTIONS: Mapping[str, GraderKind] = {
    "equals": GraderKind.EXACT,
    "contains": GraderKind.CONTAINS,
    "icontains": GraderKind.CONTAINS,
    "contains-all": GraderKind.CONTAINS_ALL,
    "icontains-all": GraderKind.CONTAINS_ALL,
    "not-contains": GraderKind.NOT_CONTAINS,
    "not-icontains": GraderKind.NOT_CONTAINS,
    "regex": GraderKind.REGEX,
    "is-json": GraderKind.JSON,
    "contains-json": GraderKind.JSON,
}


def import_suite(path: Path, kind: ImportKind | None = None, data: Path | None = None) -> Suite:
    """Read another tool's file; without a `kind` it is recognised by its columns.

    `data` holds the documents of an lm-evaluation-harness task. Raises PlaygroundError.
    """
    if path.suffix.lower() in (".yaml", ".yml"):
        return read_task(path, data)
    table = read_table(path)
    kind = kind or _recognised(table)
    if kind is ImportKind.HARNESS:
        raise SuiteError(path.name, "a task of lm-evaluation-harness is a YAML file.")
    make: dict[ImportKind, Callable[[Row, Table, int], Case]] = {
        ImportKind.PROMPTFOO: _promptfoo,
        ImportKind.INSPECT: _inspect,
        ImportKind.OPENAI: _openai,
    }
    cases = [make[kind](row, table, number) for number, row in enumerate(table.rows, 1)]
    if not cases:
        raise SuiteError(path.name, "it has no case.")
    return Suite(
        name=f"{path.stem}.csv",
        cases=tuple(cases),
        chat=any(case.system for case in cases) or kind is ImportKind.OPENAI,
        source=f"{path.name} ({kind})",
    )


def _recognised(table: Table) -> ImportKind:
    columns = set(table.columns)
    if any(_EXPECTED.fullmatch(column) for column in columns):
        return ImportKind.PROMPTFOO
    if {"input", "ideal"} <= columns:
        return ImportKind.OPENAI
    if "input" in columns:
        return ImportKind.INSPECT
    raise SuiteError(
        table.name,
        "it is of no format that is known.",
        f"Name one of {', '.join(ImportKind)} with --as, or name its columns id, input, target.",
    )


def _promptfoo(row: Row, table: Table, number: int) -> Case:
    variables = {
        name: _text(value) for name, value in row.values.items() if not name.startswith("__")
    }
    named = next((name for name in _QUESTIONS if name in variables), "")
    question = variables.pop(named or next(iter(variables), ""), "")
    if not question.strip():
        raise SuiteError(table.name, "it has no question.", "Write one in a column.", row.line)
    expected = [
        _text(value)
        for name, value in row.values.items()
        if _EXPECTED.fullmatch(name) and _text(value).strip()
    ]
    grader, targets, note = _asserted(expected)
    return Case(
        id=_text(row.values.get("__description")) or f"{number}",
        input=question,
        targets=targets,
        grader=grader,
        note=note,
        variables=variables,
    )


def _asserted(expected: list[str]) -> tuple[GraderSpec, tuple[str, ...], str]:
    """Return the grader of the first assertion that there is one for; a note names the others."""
    left_out: list[str] = []
    found: tuple[GraderSpec, tuple[str, ...]] | None = None
    for text in expected:
        kind, value = _assertion(text)
        grader = _ASSERTIONS.get(kind)
        if grader is None or found is not None:
            left_out.append(text)
            continue
        if grader is GraderKind.CONTAINS_ALL:
            targets = tuple(part.strip() for part in value.split(",") if part.strip())
        else:
            targets = (value,) if value else ()
        options = {"case": "ignore"} if kind.startswith("i") and grader is GraderKind.EXACT else {}
        found = GraderSpec(grader, options), targets
    note = f"Not imported: {'; '.join(left_out)}" if left_out else ""
    if found is None:
        return GraderSpec(GraderKind.HUMAN), (), note
    return (*found, note)


def _assertion(text: str) -> tuple[str, str]:
    """Return an assertion's type and value; a bare value must be equal."""
    kind, colon, value = text.partition(":")
    kind = kind.strip().lower()
    if kind in ("is-json", "contains-json"):
        return kind, value.strip()
    if colon and re.fullmatch(r"[a-z][a-z0-9-]*(\([^)]*\))?", kind):
        return kind.partition("(")[0], value.strip()
    return "equals", text.strip()


def _inspect(row: Row, table: Table, number: int) -> Case:
    system, question = _conversation(row.values.get("input"), table, row)
    choices = _texts(row.values.get("choices"))
    targets = _texts(row.values.get("target"))
    letters = choices and all(re.fullmatch(r"[A-Z]", target) for target in targets)
    kind = GraderKind.HUMAN
    if targets:
        kind = GraderKind.LETTER if letters else GraderKind.EXACT
    return Case(
        id=_text(row.values.get("id")) or f"{number}",
        input=question,
        targets=targets,
        choices=choices,
        system=system,
        grader=GraderSpec(kind),
    )


def _openai(row: Row, table: Table, number: int) -> Case:
    system, question = _conversation(row.values.get("input"), table, row)
    targets = _texts(row.values.get("ideal"))
    return Case(
        id=f"{number}",
        input=question,
        targets=targets,
        system=system,
        grader=GraderSpec(GraderKind.EXACT if targets else GraderKind.HUMAN),
    )


def _conversation(value: object, table: Table, row: Row) -> tuple[str, str]:
    """Return the system prompt and the question of a text, or of a list of messages."""
    if isinstance(value, str) and value.strip():
        return "", value
    if isinstance(value, list) and all(isinstance(turn, dict) for turn in value):
        said = [(str(turn.get("role", "user")), _text(turn.get("content"))) for turn in value]
        system = "\n".join(text for role, text in said if role == "system")
        asked = [text for role, text in said if role != "system"]
        if asked:
            return system, "\n".join(asked)
    raise SuiteError(
        table.name, "its input is neither text nor messages.", "Write the question.", row.line
    )


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(_text(one) for one in value)
    return (_text(value),) if _text(value) else ()


def _text(value: object) -> str:
    return "" if value is None else str(value)
