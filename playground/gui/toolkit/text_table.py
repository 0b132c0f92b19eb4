"""A read-only table of plain texts; untrusted texts are never interpreted as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from PySide6.QtCore import (
    QAbstractTableModel,
    QMargins,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from playground.gui.toolkit.widgets import plain_tip

_Index = QModelIndex | QPersistentModelIndex
ROW_HEIGHT = 26  # pixels, of rows with one line of text
#: Rows of wrapped texts whose heights are measured: each takes half a millisecond.
_MEASURED_ROWS = 60
_PADDING = QMargins(8, 0, 8, 0)


def dress_table(table: QTableView, name: str) -> None:
    """Name a read-only table, and give it the look and the keys that all tables share."""
    table.setAccessibleName(name)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setTabKeyNavigation(False)
    table.setShowGrid(False)
    table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
    table.horizontalHeader().setHighlightSections(False)


class RowsModel(QAbstractTableModel):
    """Rows of cells under headings."""

    def __init__(self, headings: Sequence[str], right: Sequence[int] = ()) -> None:
        """`right` are the columns of numbers, which are aligned to the right."""
        super().__init__()
        self._headings = tuple(headings)
        self._right = frozenset(right)
        self._rows: list[tuple[str, ...]] = []
        self._tips: list[str] = []

    def set_rows(self, rows: Sequence[tuple[str, ...]], tips: Sequence[str] = ()) -> None:
        """Replace the rows; `tips` has a tool tip for each row, instead of each cell's text."""
        self.beginResetModel()
        self._rows, self._tips = list(rows), list(tips)
        self.endResetModel()

    def append_rows(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Add rows at the end; a table with own tool tips takes none."""
        if rows:
            first = len(self._rows)
            self.beginInsertRows(QModelIndex(), first, first + len(rows) - 1)
            self._rows += rows
            self.endInsertRows()

    def remove_rows(self, numbers: Iterable[int]) -> None:
        """Take rows out, by their numbers."""
        for number in sorted(numbers, reverse=True):
            self.beginRemoveRows(QModelIndex(), number, number)
            del self._rows[number]
            self.endRemoveRows()

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._headings)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row, column = index.row(), index.column()
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._rows[row][column]
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(self._tips[row] if self._tips else self._rows[row][column])
            case Qt.ItemDataRole.TextAlignmentRole:
                return self._alignment(column)
            case _:
                return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation is Qt.Orientation.Vertical:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._headings[section]
        return self._alignment(section) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def _alignment(self, column: int) -> Qt.AlignmentFlag:
        side = Qt.AlignmentFlag.AlignRight if column in self._right else Qt.AlignmentFlag.AlignLeft
        return side | Qt.AlignmentFlag.AlignVCenter


class _Wrapping(QStyledItemDelegate):
    """Subtracts the style sheet's padding, which Qt ignores when it measures a wrapped text."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        narrow = QStyleOptionViewItem(option)
        narrow.rect = option.rect.marginsRemoved(_PADDING)
        return super().sizeHint(narrow, index)


class RowsTable(QTableView):
    """Shows a RowsModel; Enter or a double click emits `used`, Ctrl+C copies the selected rows."""

    used = Signal(int)  # the row's number

    def __init__(
        self,
        name: str,
        headings: Sequence[str],
        *,
        right: Sequence[int] = (),
        widths: Mapping[int, int] | None = None,
        wrap: bool = False,
        stretch: int = 0,
        rows: RowsModel | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """`rows` replaces a model of these headings; `right` are the columns of numbers.

        The column `stretch` takes the width that the others leave: those in `widths` have fixed
        pixels, the others what their texts need. With `wrap` a row is as high as its texts need,
        or two lines high where there are very many rows.
        """
        super().__init__(parent)
        self.rows = rows or RowsModel(headings, right)
        self.setModel(self.rows)
        dress_table(self, name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setWordWrap(wrap)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        if wrap:
            self.setProperty("kind", "wrapped")
            self.setItemDelegate(_Wrapping(self))
            self.verticalHeader().setDefaultSectionSize(46)  # two lines
            self.rows.modelReset.connect(self._fit_rows)
            self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(56)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setResizeContentsPrecision(100)  # rows measured for the width
        header.setSectionResizeMode(stretch, QHeaderView.ResizeMode.Stretch)
        for column, width in (widths or {}).items():
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            header.resizeSection(column, width)
        self.doubleClicked.connect(self._use)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self._copy()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            event.accept()
            self.used.emit(self.currentIndex().row())
        else:
            super().keyPressEvent(event)

    @Slot()
    def _fit_rows(self) -> None:
        """Give each row the height it needs, or all rows one height where there are very many."""
        modes = QHeaderView.ResizeMode
        few = self.rows.rowCount() <= _MEASURED_ROWS
        self.verticalHeader().setSectionResizeMode(modes.ResizeToContents if few else modes.Fixed)

    def _use(self, index: QModelIndex) -> None:
        self.used.emit(index.row())

    def _copy(self) -> None:
        rows = sorted({index.row() for index in self.selectedIndexes()})
        columns = range(self.model().columnCount())
        cells = [[str(self.model().index(row, n).data()) for n in columns] for row in rows]
        if rows:
            QGuiApplication.clipboard().setText("\n".join(map("\t".join, cells)))
