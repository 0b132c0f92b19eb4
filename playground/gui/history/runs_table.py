"""The list of runs, which reads further runs as it is scrolled."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from playground.core.format import plain_line
from playground.gui.history.text import lanes_text, when_text
from playground.gui.toolkit.text_table import dress_table
from playground.gui.toolkit.widgets import plain_tip
from playground.history.records import RunRow

_Index = QModelIndex | QPersistentModelIndex
_HEADINGS = ("When", "Prompt", "Lanes")
_WHEN, _LANES = 148, 156  # pixels


class RunsModel(QAbstractTableModel):
    """Runs, the newest first; asks for more where the view reaches their end."""

    more_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[RunRow] = []
        self._cells: list[tuple[str, str, str]] = []
        self._more = False

    def set_runs(self, runs: Sequence[RunRow], *, more: bool) -> None:
        """Replace all runs."""
        self.beginResetModel()
        self.runs, self._cells = list(runs), [_cells(run) for run in runs]
        self._more = more
        self.endResetModel()

    def append(self, runs: Sequence[RunRow], *, more: bool) -> None:
        """Add the runs that follow."""
        self._more = more
        if runs:
            first = len(self.runs)
            self.beginInsertRows(QModelIndex(), first, first + len(runs) - 1)
            self.runs += runs
            self._cells += [_cells(run) for run in runs]
            self.endInsertRows()

    def remove(self, ids: Collection[int]) -> None:
        """Take runs out of the list."""
        for row in reversed([n for n, run in enumerate(self.runs) if run.id in ids]):
            self.beginRemoveRows(QModelIndex(), row, row)
            del self.runs[row], self._cells[row]
            self.endRemoveRows()

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.runs)

    def columnCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(_HEADINGS)

    def canFetchMore(self, parent: _Index) -> bool:  # noqa: N802  # Qt's name
        return self._more and not parent.isValid()

    def fetchMore(self, parent: _Index) -> None:  # noqa: N802
        if self.canFetchMore(parent):
            self._more = False  # until the next runs have come
            self.more_wanted.emit()

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if role == Qt.ItemDataRole.DisplayRole:
            return self._cells[index.row()][index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(self._cells[index.row()][index.column()])
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation is Qt.Orientation.Vertical:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        return _HEADINGS[section] if role == Qt.ItemDataRole.DisplayRole else None


class RunsTable(QTableView):
    """Shows a RunsModel; Enter or a double click opens a run, Delete removes the selected ones."""

    openRequested = Signal()
    deleteRequested = Signal()
    chosen = Signal()  # the selection has changed

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = RunsModel()
        self.setModel(self.rows)
        dress_table(self, "Runs")
        self.setAccessibleDescription(
            "Enter opens a run as lanes, Delete removes it; select two runs to compare them"
        )
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setWordWrap(False)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        header.resizeSection(0, _WHEN)
        header.resizeSection(2, _LANES)
        self.doubleClicked.connect(self.openRequested)
        self.selectionModel().selectionChanged.connect(self.chosen)
        self.rows.modelReset.connect(self.chosen)

    def selected(self) -> list[int]:
        """Return the numbers of the selected runs, from the top."""
        rows = sorted({index.row() for index in self.selectionModel().selectedRows()})
        return [self.rows.runs[row].id for row in rows]

    def select(self, ids: Collection[int]) -> None:
        """Select these runs, or the first one where none of them is in the list."""
        found = [row for row, run in enumerate(self.rows.runs) if run.id in ids] or [0]
        if not self.rows.runs:
            return
        flags = QItemSelectionModel.SelectionFlag
        self.setCurrentIndex(self.rows.index(found[0], 0))
        for row in found[1:]:
            self.selectionModel().select(self.rows.index(row, 0), flags.Select | flags.Rows)

    @Slot()
    def remove_selected(self) -> list[int]:
        """Take the selected runs out of the list; the one after them is selected then."""
        ids = self.selected()
        row = min((index.row() for index in self.selectionModel().selectedRows()), default=0)
        self.rows.remove(set(ids))
        if self.rows.runs:
            self.setCurrentIndex(self.rows.index(min(row, len(self.rows.runs) - 1), 0))
        self.chosen.emit()
        return ids

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.accept()
            self.openRequested.emit()
        elif event.matches(QKeySequence.StandardKey.Delete):
            event.accept()
            self.deleteRequested.emit()
        else:
            super().keyPressEvent(event)


def _cells(run: RunRow) -> tuple[str, str, str]:
    return when_text(run.created), plain_line(run.typed.strip()), lanes_text(run)
