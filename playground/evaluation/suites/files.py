"""Reads and writes suites: a CSV or JSONL file, and a `.suite.toml` beside it."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import tomli_w
from msgspec import Meta

from playground.core.errors import PlaygroundError
from playground.core.system.files import write_atomically
from playground.core.system.reader import check_bounds, is_file, read_bytes
from playground.evaluation.case import Example, Suite
from playground.evaluation.suites.cases import cases_of, rows_of
from playground.evaluation.suites.errors import SuiteError
from playground.evaluation.suites.table import Table, decoded, read_table

_OPTIONS_BYTES = 4 << 20
_MOST_EXAMPLES = 1000


class SuiteOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `<name>.suite.toml` may say; each default is Suite's."""

    chat: bool = False
    prefix: str = ""
    template: str = "{{input}}"
    stop: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    new_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] = 256
    examples: Annotated[tuple[Example, ...], Meta(max_length=_MOST_EXAMPLES)] = ()


def options_path(path: Path) -> Path:
    """Return where a suite's options are: `billing.suite.toml` for `billing.csv`."""
    return path.with_name(f"{path.stem}.suite.toml")


def read_suite(path: Path) -> Suite:
    """Read a suite. Raises PlaygroundError with the file and the line."""
    return suite_of(read_table(path), read_options(options_path(path)), path)


def suite_of(table: Table, options: SuiteOptions, path: Path | None = None) -> Suite:
    """Return the suite of a table; `path` is its file, in whose folder its schemas are."""
    return Suite(
        name=table.name,
        cases=cases_of(table, path.parent if path is not None else None),
        prefix=options.prefix,
        examples=options.examples,
        template=options.template,
        chat=options.chat,
        stop=options.stop,
        max_new_tokens=options.new_tokens,
        source=table.name,
    )


def read_options(path: Path) -> SuiteOptions:
    """Read a suite's options, the defaults without a file. Raises PlaygroundError."""
    if not is_file(path):
        return SuiteOptions()
    text = decoded(read_bytes(path, _OPTIONS_BYTES), path.name)
    try:
        values: dict[str, Any] = tomllib.loads(text)
        check_bounds(values)
        return msgspec.convert(values, SuiteOptions)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise SuiteError(
            path.name,
            f"it is not valid: {next(iter(str(error).splitlines()), 'unreadable')}.",
            f"It may set {', '.join(SuiteOptions.__struct_fields__)}.",
        ) from error


def write_suite(suite: Suite, path: Path) -> None:
    """Write a suite's cases, and its options where they differ from the defaults.

    A cell is written as it is, so that a suite reads as it was written. Raises PlaygroundError.
    """
    columns, rows = rows_of(suite.cases)
    if path.suffix.lower() == ".jsonl":
        text = "".join(
            json.dumps({c: row[c] for c in columns if row.get(c)}, ensure_ascii=False) + "\n"
            for row in rows
        )
    else:
        text = csv_text(columns, rows)
    options = SuiteOptions(
        chat=suite.chat,
        prefix=suite.prefix,
        template=suite.template,
        stop=suite.stop,
        new_tokens=suite.max_new_tokens,
        examples=suite.examples,
    )
    beside = options_path(path)
    try:
        if options != SuiteOptions() or is_file(beside):
            write_atomically(beside, tomli_w.dumps(msgspec.to_builtins(options)).encode("utf-8"))
        write_atomically(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise PlaygroundError(
            f"{path.name} could not be written: {error.strerror or error}.",
            "Choose another folder, or free space on the disk.",
        ) from error


def csv_text(columns: list[str], rows: list[dict[str, str]]) -> str:
    """Return rows as CSV with a first row of names."""
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
