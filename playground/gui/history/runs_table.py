"""The list of runs, which reads further runs as it is scrolled."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPersistentModelIndex, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QWidget

from playground.core.format import plain_line
from playground.gui.history.text import lanes_text, when_text
from playground.gui.toolkit.text_table import RowsModel, RowsTable
from playground.history.records import RunRow

_HEADINGS = ("When", "Prompt", "Lanes")
_WIDTHS = {0: 148, 2: 156}  # pixels


class RunsModel(RowsModel):
    """Runs, the newest first; asks for more where the view reaches their end."""

    more_wanted = Signal()

    def __init__(self) -> None:
        super().__init__(_HEADINGS)
        self.runs: list[RunRow] = []
        self._more = False

    def set_runs(self, runs: Sequence[RunRow], *, more: bool) -> None:
        """Replace all runs."""
        self.runs, self._more = list(runs), more
        self.set_rows([_cells(run) for run in runs])

    def append(self, runs: Sequence[RunRow], *, more: bool) -> None:
        """Add the runs that follow."""
        self._more = more
        self.runs += runs
        self.append_rows([_cells(run) for run in runs])

    def remove(self, ids: Collection[int]) -> None:
        """Take runs out of the list."""
        gone = [row for row, run in enumerate(self.runs) if run.id in ids]
        self.runs = [run for run in self.runs if run.id not in ids]
        self.remove_rows(gone)

    def canFetchMore(self, parent: QModelIndex | QPersistentModelIndex) -> bool:  # noqa: N802  # Qt's name
        return self._more and not parent.isValid()

    def fetchMore(self, parent: QModelIndex | QPersistentModelIndex) -> None:  # noqa: N802
        if self.canFetchMore(parent):
            self._more = False  # until the next runs have come
            self.more_wanted.emit()


class RunsTable(RowsTable):
    """Shows runs; Enter or a double click opens the selected ones, Delete removes them."""

    openRequested = Signal()
    deleteRequested = Signal()
    chosen = Signal()  # the selection has changed

    def __init__(self, parent: QWidget | None = None) -> None:
        self.runs = RunsModel()
        super().__init__(
            "Runs", _HEADINGS, widths=_WIDTHS, stretch=1, rows=self.runs, parent=parent
        )
        self.setAccessibleDescription(
            "Enter opens a run as lanes, Delete removes it; select two runs to compare them"
        )
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.used.connect(self.openRequested)
        self.selectionModel().selectionChanged.connect(self.chosen)
        self.runs.modelReset.connect(self.chosen)

    def selected(self) -> list[int]:
        """Return the numbers of the selected runs, from the top."""
        rows = sorted({index.row() for index in self.selectionModel().selectedRows()})
        return [self.runs.runs[row].id for row in rows]

    def select(self, ids: Collection[int]) -> None:
        """Select these runs, or the first one where none of them is in the list."""
        found = [row for row, run in enumerate(self.runs.runs) if run.id in ids] or [0]
        if not self.runs.runs:
            return
        flags = QItemSelectionModel.SelectionFlag
        self.setCurrentIndex(self.runs.index(found[0], 0))
        for row in found[1:]:
            self.selectionModel().select(self.runs.index(row, 0), flags.Select | flags.Rows)

    @Slot()
    def remove_selected(self) -> list[int]:
        """Take the selected runs out of the list; the one after them is selected then."""
        ids = self.selected()
        row = min((index.row() for index in self.selectionModel().selectedRows()), default=0)
        self.runs.remove(set(ids))
        if self.runs.runs:
            self.setCurrentIndex(self.runs.index(min(row, len(self.runs.runs) - 1), 0))
        self.chosen.emit()
        return ids

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Delete):
            event.accept()
            self.deleteRequested.emit()
        else:
            super().keyPressEvent(event)


def _cells(run: RunRow) -> tuple[str, str, str]:
    return when_text(run.created), plain_line(run.typed.strip()), lanes_text(run)
