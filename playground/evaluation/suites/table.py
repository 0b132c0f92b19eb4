"""Reads tables of text: CSV, JSONL and JSON, with bounds and line numbers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from playground.core.errors import FileError
from playground.core.system.reader import check_bounds, read_bytes
from playground.evaluation.suites.errors import SuiteError

MOST_BYTES = 64 << 20
MOST_ROWS = 100_000
_MOST_COLUMNS = 200
_MOST_CHARACTERS = 1_000_000  # of one cell
_DELIMITERS = ",;\t"
#: Excel's own way to say the delimiter, in a line before the names.
_STATED = re.compile(r"sep=([,;\t])\r?\n")
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}

#: A value of a cell: text in CSV; JSON also has lists and objects.
Value = object


@dataclass(frozen=True)
class Row:
    """One row by column; `line` is where it begins in the file, from 1."""

    line: int
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Table:
    """A file's rows; `columns` in the order of the file."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...] = field(default_factory=tuple)


def read_table(path: Path) -> Table:
    """Read a table; a name that ends in .jsonl or .json says JSON, any other CSV.

    Raises SuiteError with the line, or FileError for a file that cannot be read.
    """
    try:
        data = read_bytes(path, MOST_BYTES)
    except FileError as error:
        error.remedy = "Choose a text file of at most 64 MB, such as a CSV or JSONL file."
        raise
    text = decoded(data, path.name)
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return parse_json_lines(text, path.name)
    return parse_csv(text, path.name)


def decoded(data: bytes, name: str) -> str:
    """Return the text of a file's bytes. Raises SuiteError where they are no text."""
    encoding = next((code for mark, code in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SuiteError(
            name, "it is not text in UTF-8.", "Save it as UTF-8, and try again.", line
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise SuiteError(name, "it has a null character.", "Save it as a text file.", line)
    return text


def parse_csv(text: str, name: str) -> Table:
    """Read a table whose first row holds the columns' names. Raises SuiteError."""
    csv.field_size_limit(_MOST_CHARACTERS)
    stated = _STATED.match(text)
    start = stated.end() if stated else 0
    first = next(iter(text[start:].lstrip("\n").splitlines()), "")
    delimiter = stated[1] if stated else _delimiter(first)
    reader = csv.reader(io.StringIO(text[start:], newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    columns: tuple[str, ...] = ()
    above = 1 if stated else 0  # lines before what the reader sees
    line = 1 + above
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise SuiteError(name, _csv_problem(error), _CSV_REMEDY, line) from error
        if cells is None:
            break
        if cells and not columns:
            columns = _names(cells, name, line)
        elif any(cell.strip() for cell in cells):
            rows.append(_csv_row(columns, cells, name, line))
            _check_count(rows, name)
        line = reader.line_num + 1 + above
    if not columns:
        raise SuiteError(name, "it is empty.", "The first row holds the names of the columns.")
    return Table(name, columns, tuple(rows))


def parse_json_lines(text: str, name: str) -> Table:
    """Read an object a line, or one list of objects. Raises SuiteError."""
    rows: list[Row] = []
    for line, value in _json_values(text, name):
        if not isinstance(value, dict):
            raise SuiteError(name, "it holds no JSON object.", "Write one object a line.", line)
        rows.append(Row(line, {str(key): one for key, one in value.items()}))
        _check_count(rows, name)
    if not rows:
        raise SuiteError(name, "it is empty.", "Write one JSON object a line.")
    columns = dict.fromkeys(key for row in rows for key in row.values)
    if len(columns) > _MOST_COLUMNS:
        raise SuiteError(name, f"it has more than {_MOST_COLUMNS} columns.")
    return Table(name, tuple(columns), tuple(rows))


def _json_values(text: str, name: str) -> Iterator[tuple[int, object]]:
    if text.lstrip().startswith("["):
        values = _json(text, name, 1)
        if isinstance(values, list):
            yield from ((1, value) for value in values)
        return
    for line, content in enumerate(text.split("\n"), 1):
        if content.strip():
            yield line, _json(content, name, line)


def _json(text: str, name: str, line: int) -> object:
    try:
        value: object = json.loads(text)
        check_bounds(value)
    except json.JSONDecodeError as error:
        raise SuiteError(
            name,
            f"it is not valid JSON (column {error.colno}).",
            "Write one JSON object a line.",
            line + error.lineno - 1,
        ) from error
    except (ValueError, RecursionError) as error:
        words = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SuiteError(name, f"{words}.", "Write one JSON object a line.", line) from error
    return value


_CSV_REMEDY = "Put text with commas, quotes or line breaks in double quotes, and double inner ones."


def _csv_problem(error: csv.Error) -> str:
    if "field larger" in str(error):
        return f"a cell has more than {_MOST_CHARACTERS:,} characters; a quote may not be closed."
    return "the quotes of a cell do not match."


def _delimiter(header: str) -> str:
    """Return what separates the names in the first row: the most frequent, else a comma."""
    outside = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)


def _names(cells: list[str], name: str, line: int) -> tuple[str, ...]:
    names = tuple(cell.strip() for cell in cells)
    while names and not names[-1]:
        names = names[:-1]
    if len(names) > _MOST_COLUMNS:
        raise SuiteError(name, f"it has more than {_MOST_COLUMNS} columns.", line=line)
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise SuiteError(name, f"two columns are named {twice!r}.", "Rename one of them.", line)
    return names


def _csv_row(columns: tuple[str, ...], cells: list[str], name: str, line: int) -> Row:
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise SuiteError(
            name, f"it has {len(cells)} cells for {len(columns)} columns.", _CSV_REMEDY, line
        )
    return Row(line, dict(zip(columns, cells, strict=False)))


def _check_count(rows: list[Row], name: str) -> None:
    if len(rows) > MOST_ROWS:
        raise SuiteError(
            name, f"it has more than {MOST_ROWS:,} rows.", "Split it into several files."
        )
