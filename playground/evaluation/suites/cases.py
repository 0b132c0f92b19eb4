"""Turns a table's rows into cases, and cases into rows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from playground.core.errors import FileError
from playground.core.system.reader import read_bytes
from playground.evaluation.case import Case, GraderKind, GraderSpec
from playground.evaluation.suites.errors import SuiteError
from playground.evaluation.suites.table import Row, Table

#: The columns with a meaning of their own; all others are variables of the prompt.
COLUMNS = (
    "id", "input", "target", "grader", "choices", "system", "group", "tags", "note",
)  # fmt: skip
_SCHEMA_BYTES = 1 << 20
#: Graders whose target is one text, in which "|" is no separator.
_WHOLE = (GraderKind.REGEX, GraderKind.JSON)


def cases_of(table: Table, folder: Path | None) -> tuple[Case, ...]:
    """Return the cases of a table; JSON schemas are read from `folder`, the suite's own.

    Raises SuiteError with the line.
    """
    if "input" not in table.columns:
        raise SuiteError(
            table.name,
            "it has no column named input.",
            "The first row holds the columns' names; the text for the model is named input.",
        )
    cases: list[Case] = []
    seen: set[str] = set()
    for number, row in enumerate(table.rows, 1):
        case = case_of(row, table.name, folder, f"{number}")
        if case.id in seen:
            raise SuiteError(
                table.name, f"the id {case.id!r} stands twice.", "Give each case its own.", row.line
            )
        seen.add(case.id)
        cases.append(case)
    if not cases:
        raise SuiteError(table.name, "it has no case.", "Write a row for each case.")
    return tuple(cases)


def case_of(row: Row, name: str, folder: Path | None, default_id: str) -> Case:
    """Return a row's case. Raises SuiteError."""
    text = {key: _text(row.values.get(key)) for key in COLUMNS}
    if not text["input"].strip():
        raise SuiteError(name, "its input is empty.", "Write the text for the model.", row.line)
    choices = _list(row.values.get("choices"))
    try:
        grader = parse_grader(text["grader"], bool(choices), bool(text["target"]))
    except ValueError as error:
        raise SuiteError(name, str(error), _GRADER_REMEDY, row.line) from error
    whole = grader.kind in _WHOLE and isinstance(row.values.get("target"), str)
    targets = (text["target"],) if whole else _list(row.values.get("target"))
    schema = ""
    if grader.kind is GraderKind.JSON and targets:
        schema = _schema(targets[0], folder, name, row.line)
    return Case(
        id=text["id"].strip() or default_id,
        input=text["input"],
        targets=targets if text["target"] else (),
        grader=grader,
        choices=choices,
        system=text["system"],
        group=text["group"].strip(),
        tags=tuple(tag for tag in re.split(r"[|,\s]+", text["tags"]) if tag),
        note=text["note"],
        schema=schema,
        variables={k: _text(v) for k, v in row.values.items() if k not in COLUMNS},
    )


_GRADER_REMEDY = (
    f"Write one of: {', '.join(GraderKind)}; options follow, as in `number tolerance=0.01`."
)


def parse_grader(text: str, choices: bool, target: bool) -> GraderSpec:
    """Read a cell such as "number tolerance=0.01". Raises ValueError with a sentence.

    An empty one is `choice` for a case with choices, `human` for one without a target, else
    `exact`.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        raise ValueError(f"the quotes of the grader {text!r} do not match.") from None
    if not words:
        if choices:
            return GraderSpec(GraderKind.CHOICE)
        return GraderSpec(GraderKind.EXACT if target else GraderKind.HUMAN)
    name, *given = words
    try:
        kind = GraderKind(name.lower())
    except ValueError:
        raise ValueError(f"there is no grader {name!r}.") from None
    options = {}
    for word in given:
        option, equals, value = word.partition("=")
        if not (option and equals):
            raise ValueError(f"{word!r} is no option of a grader.")
        options[option] = value
    return GraderSpec(kind, options)


def grader_text(grader: GraderSpec) -> str:
    """Return the cell of a grader, as `parse_grader` reads it."""
    options = (shlex.quote(f"{name}={value}") for name, value in grader.options.items())
    return " ".join([grader.kind.value, *options])


def rows_of(cases: Sequence[Case]) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns that the cases use, and a row for each."""
    variables = dict.fromkeys(name for case in cases for name in case.variables)
    rows = [_row(case) for case in cases]
    used = [c for c in COLUMNS if c in ("id", "input", "target") or any(row[c] for row in rows)]
    return [*used, *variables], rows


def _row(case: Case) -> dict[str, str]:
    whole = case.grader.kind in _WHOLE
    targets = case.targets[0] if whole and case.targets else joined(case.targets)
    return {
        "id": case.id,
        "input": case.input,
        "target": targets,
        "grader": grader_text(case.grader),
        "choices": joined(case.choices),
        "system": case.system,
        "group": case.group,
        "tags": " ".join(case.tags),
        "note": case.note,
        **case.variables,
    }


def joined(values: Sequence[str]) -> str:
    """Return several values as one cell: "Paris|paris", with "|" in a value as "\\|"."""
    return "|".join(value.replace("|", r"\|") for value in values)


def _list(value: object) -> tuple[str, ...]:
    """Return the values of a cell, which JSON may hold as a list."""
    if isinstance(value, list):
        return tuple(_text(one) for one in value)
    return split(_text(value))


def split(text: str) -> tuple[str, ...]:
    """Return the values of one cell, as `joined` wrote them."""
    parts = re.split(r"(?<!\\)\|", text)
    return tuple(part.replace(r"\|", "|") for part in parts if part)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _schema(target: str, folder: Path | None, name: str, line: int) -> str:
    """Return the text of a JSON schema: a file of the suite's folder, or the schema itself."""
    if target.lstrip().startswith(("{", "true", "false")):
        return target
    remedy = "Name a file in the suite's own folder."
    if folder is None:
        raise SuiteError(name, f"the schema {target!r} cannot be found.", remedy, line)
    path = folder / target
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside or Path(target).is_absolute():
        raise SuiteError(name, f"the schema {target!r} is outside of its folder.", remedy, line)
    try:
        return read_bytes(path, _SCHEMA_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise SuiteError(name, f"the schema {target!r} is not text in UTF-8.", "", line) from None
    except FileError as error:
        raise SuiteError(name, f"the schema {error.message}", remedy, line) from error


def variables_of(case: Case) -> Mapping[str, str]:
    """Return what a prompt's template can name: the case's columns, its choices a line each."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    lettered = [f"{letter}. {text}" for letter, text in zip(letters, case.choices, strict=False)]
    return {
        **case.variables,
        "id": case.id,
        "input": case.input,
        "group": case.group,
        "choices": "\n".join(lettered),
    }
