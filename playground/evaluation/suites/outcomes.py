"""Reads a table of outcomes: a row a case, a column a contestant, 1 or 0 or empty in the cells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from playground.core.precision import Precision
from playground.evaluation.statistics import PairedCounts
from playground.evaluation.suites.errors import SuiteError
from playground.evaluation.suites.table import Table

_RIGHT = frozenset({"1", "1.0", "1,0", "true", "yes", "right", "pass"})
_WRONG = frozenset({"0", "0.0", "0,0", "false", "no", "wrong", "fail"})
#: What R and pandas write for an empty cell.
_MISSING = frozenset({"na", "nan", "<na>", "null", "none"})
#: Names of columns that say which case a row is, whatever is in them.
_IDS = frozenset({"", "id", "case", "case id", "case_id", "index", "item", "unnamed: 0", "#"})
#: Other names of precisions.
_PRECISIONS = {
    **{precision.value: precision for precision in Precision},
    "float32": Precision.FP32,
    "f32": Precision.FP32,
    "bfloat16": Precision.BF16,
    "float16": Precision.FP16,
    "f16": Precision.FP16,
    "half": Precision.FP16,
    "8bit": Precision.INT8,
    "4bit": Precision.NF4,
}


@dataclass(frozen=True)
class Outcomes:
    """Each contestant's outcomes by row, None where a cell is empty.

    `groups` are the rows' groups, () without a column of them. `ignored` are other columns.
    """

    columns: Mapping[str, tuple[bool | None, ...]]
    groups: tuple[str, ...] = ()
    ignored: tuple[str, ...] = field(default_factory=tuple)

    def reference(self) -> str:
        """Return the contestant that is named like the highest precision, else the first.

        A name such as "Llama 3 (BF16)" has a precision among its words.
        """
        bits = [_bits(name) for name in self.columns]
        return list(self.columns)[bits.index(max(bits))]

    def right(self, name: str) -> tuple[int, int]:
        """Return how many of a contestant's cases are right, and how many have an outcome."""
        known = [one for one in self.columns[name] if one is not None]
        return sum(known), len(known)

    def paired(self, name: str, reference: str) -> PairedCounts:
        """Return a contestant's counts beside the reference's, of rows where both are known."""
        both = list(zip(self.columns[name], self.columns[reference], strict=True))
        known = [(here, there) for here, there in both if here is not None and there is not None]
        return PairedCounts(
            sum(here and there for here, there in known),
            sum(here and not there for here, there in known),
            sum(there and not here for here, there in known),
            sum(not here and not there for here, there in known),
        )

    def differences(self, name: str, reference: str) -> list[list[float]]:
        """Return the differences of the outcomes by group."""
        groups: dict[str, list[float]] = {}
        rows = zip(self.groups, self.columns[name], self.columns[reference], strict=True)
        for group, here, there in rows:
            if here is not None and there is not None:
                groups.setdefault(group, []).append(float(here) - float(there))
        return list(groups.values())


def _bits(name: str) -> float:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return max(_PRECISIONS[word].bits_per_weight if word in _PRECISIONS else 0.0 for word in words)


def outcomes_of(table: Table, group: str = "") -> Outcomes:
    """Return a table's outcomes. Raises SuiteError with the line of a value that is none.

    A column counts where more than half of its values are outcomes; others are ignored, and so
    are columns of ids. A case that stands in two rows is refused unless its id is the group:
    repeats of a case are no cases of their own.
    """
    if group and group not in table.columns:
        raise SuiteError(
            table.name, f"it has no column {group!r}.", f"There are: {', '.join(table.columns)}."
        )
    columns: dict[str, tuple[bool | None, ...]] = {}
    ignored = []
    for name in table.columns:
        cells = [(row.line, _cell(row.values.get(name))) for row in table.rows]
        given = [cell for _, cell in cells if cell]
        known = [cell for cell in given if cell in _RIGHT | _WRONG]
        if name == group or name.strip().lower() in _IDS:
            ignored += [name] if name != group else []
            if name != group and not group and "id" in name.lower():
                _check_repeats(table, name)
            continue
        if not given or 2 * len(known) <= len(given):
            ignored.append(name)
            continue
        columns[name] = tuple(_outcome(cell, name, table.name, line) for line, cell in cells)
    if len(columns) < 2:
        raise SuiteError(
            table.name,
            f"it has {len(columns)} columns of outcomes, and two are compared.",
            "Write a column for each contestant, with 1, 0 or nothing in a case's row.",
        )
    groups = tuple(_cell(row.values.get(group)) for row in table.rows) if group else ()
    return Outcomes(columns, groups, tuple(ignored))


def _check_repeats(table: Table, name: str) -> None:
    lines: dict[str, int] = {}
    for row in table.rows:
        value = _cell(row.values.get(name))
        if value and lines.setdefault(value, row.line) != row.line:
            raise SuiteError(
                table.name,
                f"the case {value[:40]!r} stands in line {lines[value]:,} too.",
                f"Average its repeats first, or give --group {name} so that they count once.",
                row.line,
            )


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    text = "" if value is None else str(value).strip().lower()
    return "" if text in _MISSING else text


def _outcome(cell: str, column: str, name: str, line: int) -> bool | None:
    if not cell:
        return None
    if cell not in _RIGHT | _WRONG:
        raise SuiteError(
            name,
            f"{cell[:40]!r} in the column {column!r} is no outcome.",
            "Write 1 for right, 0 for wrong, or nothing.",
            line,
        )
    return cell in _RIGHT
