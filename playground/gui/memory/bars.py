"""Draws the bars of the memory chart: stacked items against a line at the free memory."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from playground.core.format import size_text
from playground.core.memory.plan import MemoryPlan
from playground.gui.toolkit import theme
from playground.gui.toolkit.widgets import plain_tip

#: The items of a bar, from the left: name, colour (Okabe–Ito), pattern. The patterns keep the
#: items distinguishable without their colours.
_ITEMS = (
    ("weights", "#0072B2", Qt.BrushStyle.SolidPattern),
    ("cache", "#56B4E9", Qt.BrushStyle.SolidPattern),
    ("overhead", "#88919e", Qt.BrushStyle.BDiagPattern),
)
ITEM_NAMES = tuple(name for name, _, _ in _ITEMS)
_HEIGHT = 16


def item_sizes(plan: MemoryPlan) -> tuple[int, int, int]:
    """Return the bytes of each item, in the order of ITEM_NAMES."""
    return plan.weights.total, plan.cache, plan.overhead


def items_text(plan: MemoryPlan) -> str:
    """Return every item of a plan in one line."""
    parts = [
        f"weights {size_text(plan.weights.total)}",
        f"cache for {plan.context:,} tokens {size_text(plan.cache)}",
        f"process and libraries {size_text(plan.process)}",
        f"prefill {size_text(plan.workspace)}",
    ]
    if plan.loading:
        parts.append(f"converting layers {size_text(plan.loading)}")
    if plan.correction:
        sign = "+" if plan.correction > 0 else "−"
        parts.append(f"learned from loads here {sign}{size_text(abs(plan.correction))}")
    return " · ".join(parts)


class MemoryBar(QWidget):
    """The bar of one precision; one longer than the widget is cut off with a notch."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plan: MemoryPlan | None = None
        self._free: int | None = None
        self._full = 1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.theme_changed.connect(self.update)

    def show_plan(self, plan: MemoryPlan | None, free: int | None, full: int) -> None:
        """Draw a plan, or nothing, and the line at `free` bytes; `full` bytes fill the width."""
        self._plan, self._free, self._full = plan, free, max(1, full)
        self.setToolTip(plain_tip(items_text(plan)) if plan else "")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(220, _HEIGHT + 8)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, _HEIGHT + 8)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        scale = (self.width() - 2) / self._full
        top = (self.height() - _HEIGHT) / 2
        if self._plan is not None:
            left = 0.0
            for size, (_, shade, pattern) in zip(item_sizes(self._plan), _ITEMS, strict=True):
                right = min(left + size * scale, self.width() - 2.0)
                paint_item(painter, QRectF(left, top, right - left, _HEIGHT), shade, pattern)
                left = right
            if self._plan.needed > self._full:
                self._paint_notch(painter, top)
        if self._free is not None and self._free <= self._full:
            at = round(self._free * scale) + 0.5
            pen = QPen(theme.color("text"), 2)
            pen.setDashPattern([2.0, 1.5])
            painter.setPen(pen)
            painter.drawLine(QPointF(at, 0), QPointF(at, self.height()))

    def _paint_notch(self, painter: QPainter, top: float) -> None:
        """Mark the end of a bar that is cut off by two slanted gaps."""
        painter.setPen(QPen(theme.color("surface"), 3))
        for right in (8.0, 15.0):
            x = self.width() - right
            painter.drawLine(QPointF(x + 3, top - 1), QPointF(x - 3, top + _HEIGHT + 1))


class LegendSquare(QWidget):
    """The small square that shows the pattern of an item in the legend."""

    def __init__(self, item: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._item = item
        self.setFixedSize(14, 14)
        theme.theme_changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        _, shade, pattern = _ITEMS[self._item]
        paint_item(QPainter(self), QRectF(1, 1, 12, 12), shade, pattern)


def paint_item(painter: QPainter, where: QRectF, shade: str, pattern: Qt.BrushStyle) -> None:
    """Fill a part of a bar with a colour, or with an outlined pattern on the window's colour."""
    if where.width() <= 0:
        return
    if pattern is Qt.BrushStyle.SolidPattern:
        painter.fillRect(where, QColor(shade))
        return
    painter.fillRect(where, theme.color("hover"))
    painter.fillRect(where, QBrush(theme.color("muted"), pattern))
    painter.setPen(QPen(theme.color("outline"), 1))
    if where.width() > 2:
        painter.drawRect(where.adjusted(0.5, 0.5, -0.5, -0.5))
