"""The matrix of an evaluation: a row a case, a column a contestant."""

from __future__ import annotations

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from playground.evaluation.report.text import MARKS, mark_of
from playground.evaluation.store.records import KeptEvaluation
from playground.gui.toolkit import theme
from playground.gui.toolkit.widgets import plain_tip

_Index = QModelIndex | QPersistentModelIndex
_SHADES = {"right": "success", "wrong": "danger", "error": "warning"}


class MatrixModel(QAbstractTableModel):
    """Shows an evaluation's outcomes by glyph, and by colour beside it."""

    def __init__(self) -> None:
        super().__init__()
        self._evaluation: KeptEvaluation | None = None
        self._rows: dict[str, int] = {}

    def show(self, evaluation: KeptEvaluation | None) -> None:
        """Show another evaluation."""
        self.beginResetModel()
        self._evaluation = evaluation
        order = evaluation.plan.order if evaluation is not None else ()
        self._rows = {case_id: row for row, case_id in enumerate(order)}
        self.endResetModel()

    def refresh(self, case_ids: set[str]) -> None:
        """Draw these cases again."""
        rows = [self._rows[case_id] for case_id in case_ids if case_id in self._rows]
        if rows and self._evaluation is not None:
            last = len(self._evaluation.contestants)
            self.dataChanged.emit(self.index(min(rows), 1), self.index(max(rows), last))

    def case_id(self, row: int) -> str:
        """Return the id of a row's case, "" for none."""
        order = self._evaluation.plan.order if self._evaluation is not None else ()
        return order[row] if 0 <= row < len(order) else ""

    def row_of(self, case_id: str) -> int:
        """Return a case's row, -1 for none."""
        return self._rows.get(case_id, -1)

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index | None = None) -> int:
        if self._evaluation is None or (parent is not None and parent.isValid()):
            return 0
        return 1 + len(self._evaluation.contestants)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if self._evaluation is None or orientation is Qt.Orientation.Vertical:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        if not section:
            return "Case"
        position = section - 1
        star = " ★" if position == self._evaluation.plan.reference else ""
        return f"{self._evaluation.contestants[position].config.how}{star}"

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        evaluation = self._evaluation
        if evaluation is None:
            return None
        case_id = self.case_id(index.row())
        if not index.column():
            case = evaluation.cases.get(case_id)
            text = case.input if case is not None else case_id
            if role == Qt.ItemDataRole.DisplayRole:
                return " ".join(text.split())[:300]
            return plain_tip(text) if role == Qt.ItemDataRole.ToolTipRole else None
        item = evaluation.contestants[index.column() - 1].items.get(case_id)
        mark = mark_of(item)
        skipped = item is not None and bool(item.answer.skipped)
        match role:
            case Qt.ItemDataRole.DisplayRole:
                human = " ✎" if item is not None and item.human is not None else ""
                return "skipped" if skipped else f"{MARKS.get(mark, '')}{human}"
            case Qt.ItemDataRole.AccessibleTextRole:
                return "skipped" if skipped else mark or "not asked yet"
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(item.answer.text[:600] if item is not None else "not asked yet")
            case Qt.ItemDataRole.ForegroundRole:
                return theme.color(_SHADES.get(mark, "muted"))
            case Qt.ItemDataRole.TextAlignmentRole:
                return Qt.AlignmentFlag.AlignCenter
            case _:
                return None
