"""The browser's list as a Qt model: rows and headings, with more fetched on scrolling."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

from playground.core.facts import ModelSpec
from playground.core.format import plain_line
from playground.gui.browser.model_list import Entry, Heading, Line
from playground.gui.browser.text import spoken, tip, where
from playground.gui.toolkit.widgets import plain_tip

LINE = Qt.ItemDataRole.UserRole
_Index = QModelIndex | QPersistentModelIndex
_NOWHERE = QModelIndex()


class BrowserModel(QAbstractListModel):
    """The lines of the list; scrolling to the end requests more where there are some."""

    more_requested = Signal()  # once for each `set_more(True)`

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lines: list[Line] = []
        self._more = False

    def set_lines(self, lines: Sequence[Line]) -> bool:
        """Show these lines; False where Qt has to treat all of them as new (a model reset)."""
        old, new = self._lines, list(lines)
        if old and new[: len(old)] == old:
            if len(new) > len(old):
                self.beginInsertRows(QModelIndex(), len(old), len(new) - 1)
                self._lines = new
                self.endInsertRows()
            return True
        if [_identity(line) for line in old] == [_identity(line) for line in new]:
            self._lines = new
            if new:
                self.dataChanged.emit(self.index(0), self.index(len(new) - 1))
            return True
        self.beginResetModel()
        self._lines = new
        self.endResetModel()
        return False

    def set_more(self, more: bool) -> None:
        """Say whether scrolling to the end requests more."""
        self._more = more

    def entry(self, index: _Index) -> Entry | None:
        line = self._lines[index.row()] if 0 <= index.row() < len(self._lines) else None
        return line if isinstance(line, Entry) else None

    def row_of(self, key: str, spec: ModelSpec | None = None) -> int:
        """Return the row of a model by its key, else by its spec; -1 where it is not listed."""
        by_spec = -1
        for row, line in enumerate(self._lines):
            if isinstance(line, Entry):
                if line.row.key == key:
                    return row
                if by_spec < 0 and line.row.spec == spec:
                    by_spec = row
        return by_spec

    def first_row(self) -> int:
        """Return the first row that is no heading, -1 where there is none."""
        entries = (i for i, line in enumerate(self._lines) if isinstance(line, Entry))
        return next(entries, -1)

    # Overridden from Qt

    def rowCount(self, parent: _Index = _NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._lines)

    def canFetchMore(self, parent: _Index = _NOWHERE) -> bool:  # noqa: N802
        return self._more and not parent.isValid()

    def fetchMore(self, parent: _Index = _NOWHERE) -> None:  # noqa: N802
        if self.canFetchMore(parent):
            self._more = False
            self.more_requested.emit()

    def flags(self, index: _Index) -> Qt.ItemFlag:
        if self.entry(index) is None:
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not 0 <= index.row() < len(self._lines):
            return None
        line = self._lines[index.row()]
        if role == LINE:
            return line
        if isinstance(line, Heading):
            return line.text if role == Qt.ItemDataRole.DisplayRole else None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return plain_line(line.row.name)
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(tip(line))
            case Qt.ItemDataRole.AccessibleTextRole:
                return spoken(line)
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return plain_line(line.row.problem) or where(line.row)
        return None


def _identity(line: Line) -> str:
    return line.row.key if isinstance(line, Entry) else f"# {line.text}"
