"""Draws the browser's list: a name above a line of facts in columns, under headings."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import (
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from playground.core.facts import ModelSpec
from playground.core.format import NOTHING, plain_line
from playground.gui.browser.list_model import LINE, BrowserModel
from playground.gui.browser.model_list import Entry, Heading, Line
from playground.gui.browser.text import (
    COLUMN_SORTS,
    COLUMNS,
    FIT_TONES,
    badges,
    cells,
    headings,
)
from playground.gui.toolkit import theme
from playground.hub.catalog import Sort

_MARGIN = 12
_GAP = 10
#: More rows are requested this many rows before the end.
_AHEAD = 8


class BrowserList(QListView):
    """Shows a BrowserModel."""

    picked = Signal(object)  # the Entry that the user moved to
    used = Signal(object)  # the Entry on which Enter was pressed or that was double-clicked
    left_above = Signal()  # the Up key on the first row
    menu_requested = Signal(QPoint)  # at a position on the screen

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Models")
        self.rows = BrowserModel(self)
        self.setModel(self.rows)
        self.setItemDelegate(_RowDelegate(self))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setMouseTracking(True)
        self.sort = Sort.DOWNLOADS  # decides between downloads and likes in the rows
        self._picked = ""  # key of the entry emitted last
        self.selectionModel().currentChanged.connect(self._changed)
        self.doubleClicked.connect(self._double_clicked)
        self.verticalScrollBar().valueChanged.connect(self._scrolled)
        theme.theme_changed.connect(self.viewport().update)

    def current_entry(self) -> Entry | None:
        return self.rows.entry(self.currentIndex())

    def show_lines(self, lines: Sequence[Line], key: str, spec: ModelSpec | None) -> None:
        """Show these lines, with the model of this key, else of this spec, as the current one.

        The scroll position stays, where the user has scrolled away from the current row.
        """
        bar, row = self.verticalScrollBar(), self.visualRect(self.currentIndex())
        place, away = bar.value(), row.isValid() and not self.viewport().rect().intersects(row)
        kept, current = self.rows.set_lines(lines), self.current_entry()
        # A key is that of the row the user was on, who may have moved since.
        if kept and current is not None and (key or current.row.spec == spec):
            return
        found = self.rows.row_of(key, spec)
        if found >= 0:
            self._go_to(found)
        else:
            self._picked = ""
        if away:
            self.executeDelayedItemsLayout()
            bar.setValue(place)

    def select_first(self) -> None:
        self._go_to(self.rows.first_row())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        entry = self.current_entry()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and entry is not None:
            self.used.emit(entry)
        elif event.key() == Qt.Key.Key_Up and self._on_first():
            self.left_above.emit()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        place = event.pos()
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            place = self.visualRect(self.currentIndex()).center()
        if self.current_entry() is not None:
            self.menu_requested.emit(self.viewport().mapToGlobal(place))

    def resizeEvent(self, event: QResizeEvent) -> None:
        row = self.visualRect(self.currentIndex())
        in_sight = row.isValid() and QRect(QPoint(0, 0), event.oldSize()).intersects(row)
        super().resizeEvent(event)
        if in_sight:  # a notice that appears below the list must not push the row out
            self.scrollTo(self.currentIndex())

    def _on_first(self) -> bool:
        return self.currentIndex().row() == self.rows.first_row()

    def _go_to(self, row: int) -> None:
        index = self.rows.index(row)
        if index.isValid() and index != self.currentIndex():
            first = not self.currentIndex().isValid()
            self.setCurrentIndex(index)
            if first:
                self.scrollTo(index, QListView.ScrollHint.PositionAtCenter)
        if row == self.rows.first_row():
            self.scrollToTop()  # so that its heading is visible, too

    def _changed(self, current: QModelIndex) -> None:
        entry = self.rows.entry(current)
        if entry is not None and entry.row.key != self._picked:
            self._picked = entry.row.key
            self.picked.emit(entry)

    def _double_clicked(self, index: QModelIndex) -> None:
        entry = self.rows.entry(index)
        if entry is not None:
            self.used.emit(entry)

    def _scrolled(self, value: int) -> None:
        ahead = _AHEAD * _row_height(self.fontMetrics().height())
        if value >= self.verticalScrollBar().maximum() - ahead and self.rows.canFetchMore():
            self.rows.fetchMore()


class ColumnTitles(QWidget):
    """The headings of the columns; a click on one sorts by it.

    For the mouse only: the combo box above offers the same orders to the keyboard.
    """

    sort_requested = Signal(object)  # Sort

    def __init__(self, list_: BrowserList) -> None:
        super().__init__()
        self._list = list_
        list_.verticalScrollBar().rangeChanged.connect(self.update)  # it may take width
        self.setFixedHeight(self.fontMetrics().height() + 6)
        theme.theme_changed.connect(self.update)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            sort = COLUMN_SORTS.get(self._column(event.pos()))
            self.setToolTip(f"Order: {sort.label.lower()}" if sort else "")
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        sort = COLUMN_SORTS.get(self._column(event.position().toPoint()))
        if sort is not None:
            self.sort_requested.emit(sort)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(theme.ui_font(0.86, bold=True))
        painter.setPen(theme.color("muted"))
        texts = [
            f"{heading} ▾" if COLUMN_SORTS.get(heading, "") == self._list.sort else heading
            for heading in headings(self._list.sort)
        ]
        for text, place in zip(texts, _columns(self._rect(), gap=1), strict=True):
            _draw_text(painter, place, text, Qt.AlignmentFlag.AlignVCenter)

    def _rect(self) -> QRect:
        width = self._list.viewport().width()
        return QRect(_MARGIN + 1, 0, width - 2 * _MARGIN, self.height())

    def _column(self, place: QPoint) -> str:
        """Return the heading at a position, "" where there is none."""
        places = _columns(self._rect())
        for heading, rect in zip(headings(self._list.sort), places, strict=True):
            if rect.contains(place):
                return heading
        return ""


class _RowDelegate(QStyledItemDelegate):
    """Draws a model as a name above its facts, and a heading as small bold text."""

    def __init__(self, list_: BrowserList) -> None:
        super().__init__(list_)
        self._list = list_

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        line = option.fontMetrics.height()
        # Faster than `data`: Qt asks for every row's size again with each page.
        heading = self._list.rows.entry(index) is None
        return QSize(0, line + 14 if heading else _row_height(line))

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        line = index.data(LINE)
        rect: QRect = option.rect.adjusted(_MARGIN, 6, -_MARGIN, -6)
        painter.save()
        if isinstance(line, Entry):
            self._entry(painter, option, rect, line)
        elif isinstance(line, Heading):
            painter.setFont(theme.ui_font(0.86, bold=True))
            painter.setPen(theme.color("muted"))
            painter.drawText(rect, Qt.AlignmentFlag.AlignBottom, line.text)
        painter.restore()

    def _entry(
        self, painter: QPainter, option: QStyleOptionViewItem, rect: QRect, entry: Entry
    ) -> None:
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if selected or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("accent" if selected else "hover"))
            painter.drawRoundedRect(option.rect.adjusted(3, 1, -3, -1), 6, 6)
        ink = theme.color("on_accent" if selected else "text")
        lesser = ink if selected else theme.color("muted")
        top = QRect(rect.left(), rect.top(), rect.width(), rect.height() // 2)
        self._name(painter, top, entry, ink, selected)
        painter.setFont(theme.ui_font(0.92))
        painter.setPen(lesser)
        texts, side = cells(entry, sort=self._list.sort), Qt.AlignmentFlag.AlignBottom
        if entry.row.problem:
            painter.setPen(ink if selected else theme.color("danger"))
            _draw_text(painter, rect, plain_line(entry.row.problem), side)
        elif set(texts) == {NOTHING}:
            _draw_text(painter, rect, "No details are known yet", side)
        else:
            tone = FIT_TONES[entry.fit] if entry.fit is not None and not selected else ""
            _draw_cells(painter, rect, texts, side, theme.color(tone) if tone else None)

    @staticmethod
    def _name(painter: QPainter, rect: QRect, entry: Entry, ink: QColor, selected: bool) -> None:
        painter.setFont(theme.ui_font(0.86, bold=True))
        right = rect.right()
        for text, tone in badges(entry.row):
            width = painter.fontMetrics().horizontalAdvance(text)
            painter.setPen(ink if selected else theme.color(tone))
            place = QRect(right - width, rect.top(), width + 1, rect.height())
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, text)
            right -= width + _GAP
        left = rect.left()
        if entry.favourite:
            side = rect.height() * 0.7
            _draw_star(painter, left, rect.center().y() - side / 2, side, ink)
            left += round(side) + 5
        painter.setFont(theme.ui_font(bold=True))
        painter.setPen(ink)
        place = QRect(left, rect.top(), right - left, rect.height())
        _draw_text(painter, place, plain_line(entry.row.name), Qt.AlignmentFlag.AlignVCenter)


def _row_height(line: int) -> int:
    return 2 * line + 18


def _draw_cells(
    painter: QPainter,
    rect: QRect,
    texts: Sequence[str],
    side: Qt.AlignmentFlag,
    last: QColor | None = None,
) -> None:
    """Draw a text in each column; the last one in its own colour, where one is given."""
    places = _columns(rect)
    for text, place in zip(texts, places, strict=True):
        if last is not None and place is places[-1]:
            painter.setPen(last)
        _draw_text(painter, place, text, side)


def _columns(rect: QRect, gap: int = _GAP) -> list[QRect]:
    """Return the rectangle of each column in a row, with `gap` pixels between them."""
    places, left = [], float(rect.left())
    for _, share in COLUMNS:
        width = rect.width() * share
        places.append(QRect(round(left), rect.top(), round(width) - gap, rect.height()))
        left += width
    places[-1].setRight(rect.right())
    return places


def _draw_text(painter: QPainter, rect: QRect, text: str, side: Qt.AlignmentFlag) -> None:
    middle = Qt.TextElideMode.ElideMiddle
    shown = painter.fontMetrics().elidedText(text, middle, rect.width())
    painter.drawText(rect, side | Qt.TextFlag.TextSingleLine, shown)


#: The corners of a star in a square of side 1, from its top.
_STAR = (
    (0.5, 0.02), (0.62, 0.38), (0.99, 0.38), (0.69, 0.6), (0.8, 0.96),
    (0.5, 0.74), (0.2, 0.96), (0.31, 0.6), (0.01, 0.38), (0.38, 0.38),
)  # fmt: skip


def _draw_star(painter: QPainter, left: float, top: float, side: float, ink: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ink)
    star = QPolygonF()
    for x, y in _STAR:
        star.append(QPointF(left + x * side, top + y * side))
    painter.drawPolygon(star)
