"""The table of every lane's figures, which can be copied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import (
    QFontMetrics,
    QGuiApplication,
    QIcon,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from playground.core.format import (
    NOTHING,
    ms_text,
    percent_text,
    seconds_text,
    size_text,
    three_digits,
)
from playground.core.trace import FORMULAS, LatencyFigures
from playground.gui.toolkit import theme
from playground.gui.toolkit.text_table import dress_table

#: Pixels left and right of a cell's text: the style sheet's padding, Qt's, and one for rounding.
_PADDING = 15
#: Least width (pixels) of the names, enough for the bundled model; the table scrolls below it.
_NAME = 192


@dataclass(frozen=True)
class _Column:
    title: str
    widest: str
    formula: str  # key into FORMULAS, or the explanation itself
    text: Callable[[LatencyFigures, int | None], str]


def _rate(value: float | None) -> str:
    return NOTHING if value is None else f"{three_digits(value)} tok/s"


_COLUMNS = (
    _Column("TTFT", "0.999 ms", "TTFT", lambda f, m: seconds_text(f.ttft_s)),
    _Column("p50", "0.999 ms", "p50, p95, p99", lambda f, m: ms_text(f.p50_ms)),
    _Column("p95", "0.999 ms", "p50, p95, p99", lambda f, m: ms_text(f.p95_ms)),
    _Column("p99", "0.999 ms", "p50, p95, p99", lambda f, m: ms_text(f.p99_ms)),
    _Column("Prefill", "99,999 tok/s", "prefill tokens/s", lambda f, m: _rate(f.prefill_tok_s)),
    _Column("Decode", "9,999 tok/s", "decode tokens/s", lambda f, m: _rate(f.decode_tok_s)),
    _Column(
        "Of floor",
        "≈ 100%",
        "of floor",
        lambda f, m: percent_text(f.of_floor, exact=f.floor_steady),
    ),
    _Column("End to end", "99.9 s", "end to end", lambda f, m: seconds_text(f.end_to_end_s)),
    _Column(
        "Peak",
        "99.9 GB",
        "the most memory the engine used while generating: on the device (CUDA), else resident",
        lambda f, m: size_text(m),
    ),
    _Column(
        "Tokens",
        "999,999",
        "tokens generated",
        lambda f, m: f"{f.tokens:,}" if f.tokens else NOTHING,
    ),
)


class FiguresTable(QTableWidget):
    """One row per lane; Ctrl+C copies the selected cells, or all, as tab-separated text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_COLUMNS) + 1, parent)
        self.setObjectName("figures")
        dress_table(self, "Figures of every lane")
        self.setAccessibleDescription("Ctrl+C copies the selected cells, or the whole table")
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # a name's end is its precision
        self._lanes: dict[int, list[QTableWidgetItem]] = {}
        self._muted: set[int] = set()
        name = QTableWidgetItem("Lane")
        name.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.setHorizontalHeaderItem(0, name)
        for place, column in enumerate(_COLUMNS, start=1):
            head = QTableWidgetItem(column.title)
            head.setToolTip(f"{column.title}: {FORMULAS.get(column.formula, column.formula)}")
            head.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setHorizontalHeaderItem(place, head)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setMinimumSectionSize(60)
        self._size_columns()
        theme.theme_changed.connect(self._tint)

    def set_row(
        self,
        index: int,
        name: str,
        figures: LatencyFigures,
        peak_memory_bytes: int | None,
        *,
        remarkable: bool = False,
    ) -> None:
        """Show a lane's figures; only cells whose text has changed are updated.

        `remarkable`: the name says why they are not to be compared with the others, and the row
        is muted.
        """
        items = self._lanes.get(index)
        if items is None:
            items = self._new_row(index)
        texts = [name, *(c.text(figures, peak_memory_bytes) for c in _COLUMNS)]
        for item, text in zip(items, texts, strict=True):
            if item.text() != text:
                item.setText(text)
        if remarkable != (index in self._muted):
            self._muted ^= {index}
            self._tint()
        if items[0].toolTip() != name:
            items[0].setToolTip(name)
            self._size_columns()

    def remove_row(self, index: int) -> None:
        """Remove a lane's row; the other rows keep their lanes."""
        items = self._lanes.pop(index, None)
        self._muted.discard(index)
        if items is not None:
            self.removeRow(items[0].row())
            self.updateGeometry()
            self._size_columns()

    def as_tsv(self, selected_only: bool = False) -> str:
        """Return header and rows separated by tabs, with `selected_only` those of the selection."""
        chosen = {(i.row(), i.column()) for i in self.selectedIndexes()} if selected_only else set()
        rows = sorted({r for r, _ in chosen}) or list(range(self.rowCount()))
        columns = sorted({c for _, c in chosen}) or list(range(self.columnCount()))
        titles = ("Lane", *(column.title for column in _COLUMNS))
        lines = ["\t".join(titles[c] for c in columns)]
        for row in rows:
            cells = [self.item(row, c) for c in columns]
            texts = [(cell.text() if cell else "").replace("\t", " ") for cell in cells]
            lines.append("\t".join(texts))
        return "\n".join(lines)

    def sizeHint(self) -> QSize:
        rows = max(1, self.rowCount()) * self.verticalHeader().defaultSectionSize()
        height = self.horizontalHeader().sizeHint().height() + rows + 6
        return QSize(600, height)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, self.sizeHint().height())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self.as_tsv(selected_only=True))
            event.accept()
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._size_columns()

    def _size_columns(self) -> None:
        """Give every column the width of its widest figure, so that nothing moves as they change.

        The longest name comes next, and what is left then is shared out; a name that is longer
        than what the figures leave is elided.
        """
        heads, cells = QFontMetrics(theme.ui_font(bold=True)), self.fontMetrics()
        needed = [
            max(heads.horizontalAdvance(c.title), cells.horizontalAdvance(c.widest)) + _PADDING
            for c in _COLUMNS
        ]
        left = self.viewport().width() - sum(needed)
        name = max(_NAME, self.sizeHintForColumn(0))
        extra = max(0, left - name) // (len(_COLUMNS) + 4)
        self.setColumnWidth(0, max(_NAME, left - extra * len(_COLUMNS)))
        for place, width in enumerate(needed, start=1):
            self.setColumnWidth(place, width + extra)

    def _new_row(self, index: int) -> list[QTableWidgetItem]:
        row = sum(1 for lane in self._lanes if lane < index)
        self.insertRow(row)
        items = []
        for column in range(self.columnCount()):
            item = QTableWidgetItem()
            side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
            item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, column, item)
            items.append(item)
        self._lanes[index] = items
        items[0].setIcon(_swatch(index))
        self.updateGeometry()
        return items

    def _tint(self) -> None:
        for index, items in self._lanes.items():
            items[0].setIcon(_swatch(index))
            for item in items:
                item.setForeground(theme.color("muted" if index in self._muted else "text"))


def _swatch(index: int) -> QIcon:
    """Draw a sample of the lane's line in the plot."""
    image = QPixmap(20, 12)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    pen = theme.lane_pen(index)
    pen.setWidth(2)
    painter.setPen(pen)
    painter.drawLine(0, 6, 20, 6)
    painter.end()
    return QIcon(image)
