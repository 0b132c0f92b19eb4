"""The table of a suite's cases, which can be edited."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal

from playground.evaluation.case import Case, GraderKind, GraderSpec
from playground.evaluation.suites.cases import grader_text, joined, parse_grader, split
from playground.gui.toolkit.widgets import plain_tip

_Index = QModelIndex | QPersistentModelIndex
COLUMNS = ("Input", "Target", "Grader", "Choices", "Group")
INPUT, TARGET, GRADER, CHOICES, GROUP = range(5)
_NEW = "Type a new case here, or paste rows from a spreadsheet"


class CasesModel(QAbstractTableModel):
    """Cases, and an empty row at the end that becomes a new one.

    `edited` is emitted after every change of a user; `refused` with why a value was not taken.
    """

    edited = Signal()
    refused = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.cases: list[Case] = []
        self.editable = True

    def set_cases(self, cases: Sequence[Case], *, editable: bool) -> None:
        """Replace all cases."""
        self.beginResetModel()
        self.cases, self.editable = list(cases), editable
        self.endResetModel()

    def add(self, cases: Sequence[Case], row: int | None = None) -> None:
        """Add cases, at the end where no row is named; their ids become unique."""
        if not cases:
            return
        at = len(self.cases) if row is None else row
        self.beginInsertRows(QModelIndex(), at, at + len(cases) - 1)
        self.cases[at:at] = self._unique(cases)
        self.endInsertRows()
        self.edited.emit()

    def remove(self, rows: Sequence[int]) -> list[tuple[int, Case]]:
        """Remove rows; return what was there, for `restore`."""
        removed = []
        for row in sorted({r for r in rows if r < len(self.cases)}, reverse=True):
            self.beginRemoveRows(QModelIndex(), row, row)
            removed.append((row, self.cases.pop(row)))
            self.endRemoveRows()
        if removed:
            self.edited.emit()
        return removed[::-1]

    def restore(self, removed: Sequence[tuple[int, Case]]) -> None:
        """Put back what `remove` returned."""
        for row, case in removed:
            self.beginInsertRows(QModelIndex(), row, row)
            self.cases.insert(row, case)
            self.endInsertRows()
        self.edited.emit()

    def rowCount(self, parent: _Index | None = None) -> int:
        if parent is not None and parent.isValid():
            return 0
        return len(self.cases) + int(self.editable)

    def columnCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def flags(self, index: _Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsEditable if self.editable else flags

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return COLUMNS[section] if orientation is Qt.Orientation.Horizontal else str(section + 1)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row, column = index.row(), index.column()
        if row >= len(self.cases):
            if role == Qt.ItemDataRole.EditRole:
                return ""  # a value of no type would have no editor
            hint = _NEW if column == INPUT else ""
            return hint if role == Qt.ItemDataRole.DisplayRole else None
        text = _text(self.cases[row], column)
        if role == Qt.ItemDataRole.EditRole:
            return text
        if role == Qt.ItemDataRole.DisplayRole:
            return " ".join(text.split())
        return plain_tip(text) if role == Qt.ItemDataRole.ToolTipRole else None

    def setData(self, index: _Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.EditRole:
            return False
        text, row = str(value), index.row()
        if row >= len(self.cases):
            if index.column() != INPUT or not text.strip():
                return False
            self.add([Case(id="", input=text, grader=GraderSpec(GraderKind.HUMAN))])
            return True
        try:
            changed = _changed(self.cases[row], index.column(), text)
        except ValueError as error:
            self.refused.emit(str(error))
            return False
        if changed == self.cases[row]:
            return True
        self.cases[row] = changed
        first, last = self.index(row, 0), self.index(row, len(COLUMNS) - 1)
        self.dataChanged.emit(first, last)
        self.edited.emit()
        return True

    def _unique(self, cases: Sequence[Case]) -> list[Case]:
        taken = {case.id for case in self.cases}
        found = []
        for case in cases:
            name, number = case.id, len(taken) + 1
            while not name or name in taken:
                name, number = f"{number}", number + 1
            taken.add(name)
            found.append(msgspec.structs.replace(case, id=name))
        return found


def _text(case: Case, column: int) -> str:
    match column:
        case 0:
            return case.input
        case 1:
            whole = case.grader.kind in (GraderKind.REGEX, GraderKind.JSON)
            return case.targets[0] if whole and case.targets else joined(case.targets)
        case 2:
            return grader_text(case.grader)
        case 3:
            return joined(case.choices)
        case _:
            return case.group


def _changed(case: Case, column: int, text: str) -> Case:
    """Return a case with another text in a column. Raises ValueError with a sentence."""
    replace = msgspec.structs.replace
    match column:
        case 0:
            if not text.strip():
                raise ValueError("The input of a case cannot be empty.")
            return replace(case, input=text)
        case 1:
            whole = case.grader.kind in (GraderKind.REGEX, GraderKind.JSON)
            targets = ((text,) if text else ()) if whole else split(text)
            grader = case.grader
            if targets and grader.kind is GraderKind.HUMAN:
                grader = GraderSpec(GraderKind.EXACT)
            return replace(case, targets=targets, grader=grader)
        case 2:
            return replace(case, grader=parse_grader(text, bool(case.choices), bool(case.targets)))
        case 3:
            choices = split(text)
            grader = case.grader
            if choices and grader.kind in (GraderKind.HUMAN, GraderKind.EXACT):
                grader = GraderSpec(GraderKind.LETTER)
            return replace(case, choices=choices, grader=grader)
        case _:
            return replace(case, group=text.strip())
