"""The plotting area that both latency views share: axes, theme, keys and read-out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QVBoxLayout, QWidget

from playground.core.format import three_digits
from playground.gui.toolkit import theme
from playground.gui.toolkit.widgets import set_name

pg.setConfigOptions(antialias=False, useOpenGL=False, background=None)

#: Rows of the read-out: (lane, name, value).
Rows = Sequence[tuple[int, str, str]]


class PlainAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no types
    """An axis with plain numbers, also on a logarithmic scale."""

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        if self.logMode:
            return self.logTickStrings(values, scale, spacing)
        places = max(0, math.ceil(-math.log10(spacing * scale) - 1e-9))
        return [f"{value * scale:,.{places}f}" for value in values]

    def logTickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        crowded = len(values) > 6
        numbers = [10.0**value for value in values]
        plain = ("1", "2", "5")
        return [
            _short(number) if not crowded or f"{number:.0e}"[0] in plain else ""
            for number in numbers
        ]


class PlotCanvas(QWidget):
    """One pyqtgraph plot whose range the program sets until the user moves it."""

    moved = Signal()  # the user has changed the range
    stepped = Signal(int)  # a key moves the read-out by this many positions
    pointed = Signal(float)  # the mouse is at this x
    left = Signal()  # the mouse has left the plot
    reset = Signal()  # a key asks to show everything again

    def __init__(self, x_title: str, y_title: str, name: str) -> None:
        super().__init__()
        axes = {side: PlainAxis(side) for side in ("left", "bottom")}
        self.plot: Any = pg.PlotWidget(axisItems=axes)
        for view in (self.plot, self.plot.viewport()):  # nothing can be dropped on it
            view.setAcceptDrops(False)
        self.item: Any = self.plot.getPlotItem()
        self.box: Any = self.item.getViewBox()
        self._titles = {"bottom": x_title, "left": y_title}
        self.item.setMenuEnabled(False)
        self.item.hideButtons()
        self.box.disableAutoRange()
        self.box.setDefaultPadding(0.0)
        self.box.sigRangeChangedManually.connect(self._moved)
        self.plot.setFrameShape(self.plot.Shape.NoFrame)
        self.plot.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        set_name(self.plot, name)
        self.plot.setAccessibleDescription(
            "Left and right move between values, with Shift ten at a time; plus and minus zoom; "
            "0 shows everything"
        )
        self.plot.installEventFilter(self)
        self.plot.scene().sigMouseMoved.connect(self._mouse_moved)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.plot)
        self.marker: Any = pg.InfiniteLine(angle=90, movable=False)
        self.marker.setZValue(50)
        self.marker.hide()
        self.item.addItem(self.marker, ignoreBounds=True)
        self.read_out = ReadOut(self)
        self.read_out.hide()
        theme.theme_changed.connect(self.restyle)
        self.restyle()

    def restyle(self) -> None:
        """Apply the theme's colours."""
        self.plot.setBackground(theme.color("surface"))
        muted, grid = theme.color("muted"), theme.color("border")
        font = theme.ui_font(0.88)
        for side, title in self._titles.items():
            axis = self.item.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setPen(grid)
            axis.setTextPen(muted)
            axis.setTickFont(font)
            axis.setStyle(tickLength=-4, tickTextOffset=4, maxTickLevel=1)
            axis.setLabel(title, color=muted.name())
            axis.label.setFont(font)
        self.item.getAxis("bottom").setHeight(34)
        self.item.showGrid(x=True, y=True, alpha=0.18)
        self.marker.setPen(QPen(theme.color("muted"), 0))
        self.read_out.update()

    def set_titles(self, x_title: str, y_title: str) -> None:
        if self._titles != {"bottom": x_title, "left": y_title}:
            self._titles = {"bottom": x_title, "left": y_title}
            self.restyle()

    def set_empty(self, empty: bool) -> None:
        """Leave out the numbers along the axes while there are no data."""
        for side in self._titles:
            self.item.getAxis(side).setStyle(showValues=not empty)

    def set_log(self, side: str, on: bool) -> None:
        """Label an axis for data that are base-10 logarithms."""
        axis = self.item.getAxis(side)
        axis.setLogMode(x=on if side == "bottom" else None, y=on if side == "left" else None)

    def set_range(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Show this range, unless it is shown already."""
        (left, right), (low, high) = self.box.viewRange()
        if (left, right) != x or (low, high) != y:
            self.box.setRange(xRange=x, yRange=y, padding=0, disableAutoRange=True)

    def show_rows(self, x: float, title: str, rows: Rows) -> None:
        """Mark `x` and list the values there."""
        self.marker.setValue(x)
        self.marker.show()
        (left, right), _ = self.box.viewRange()
        area = self._area()
        at_right = right > left and (x - left) / (right - left) > 0.5
        self.read_out.show_rows(title, rows, area, at_right=not at_right)
        spoken = "; ".join(f"{name}: {value}" for _, name, value in rows)
        self.plot.setAccessibleDescription(f"{title}: {spoken}")

    def hide_rows(self) -> None:
        self.marker.hide()
        self.read_out.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self.left.emit()
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            return self._key(event)
        return super().eventFilter(watched, event)

    def _key(self, event: QKeyEvent) -> bool:
        key = event.key()
        far = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right) and not (
            event.modifiers() & Qt.KeyboardModifier.ControlModifier
        ):
            step = 10 if far else 1
            self.stepped.emit(-step if key == Qt.Key.Key_Left else step)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal, Qt.Key.Key_Minus):
            factor = 1.25 if key == Qt.Key.Key_Minus else 0.8
            self.box.scaleBy((factor, 1.0))
            self._moved()
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self.stepped.emit(-(2**30) if key == Qt.Key.Key_Home else 2**30)
        elif key == Qt.Key.Key_0:
            self.reset.emit()
        else:
            return False
        return True

    def _mouse_moved(self, position: QPointF) -> None:
        if self.box.sceneBoundingRect().contains(position):
            self.pointed.emit(float(self.box.mapSceneToView(position).x()))
        else:
            self.left.emit()

    def _moved(self, *_: object) -> None:
        self.moved.emit()

    def _area(self) -> QRectF:
        return QRectF(self.box.sceneBoundingRect())

    def sizeHint(self) -> QSize:
        return QSize(480, 200)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 96)


class ReadOut(QWidget):
    """A small card in a corner of the plot with one value per lane; ignores the mouse."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._title = ""
        self._rows: Rows = ()

    def show_rows(self, title: str, rows: Rows, area: QRectF, *, at_right: bool) -> None:
        self._title, self._rows = title, rows
        metrics = self.fontMetrics()
        widest = max((metrics.horizontalAdvance(f"{n}   {v}") for _, n, v in rows), default=0)
        width = min(max(widest + 60, metrics.horizontalAdvance(title) + 20, 120), area.width() - 16)
        height = (len(rows) + 1) * (metrics.height() + 2) + 12
        left = area.right() - width - 8 if at_right else area.left() + 8
        self.setGeometry(int(left), int(area.top() + 6), int(width), int(height))
        self.show()
        self.raise_()
        self.update()

    def rows(self) -> Rows:
        return self._rows

    def title(self) -> str:
        return self._title

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        back = theme.color("raised")
        painter.setBrush(back)
        painter.setPen(QPen(theme.color("outline"), 1))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        line = self.fontMetrics().height() + 2
        painter.setPen(theme.color("muted"))
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(10, 5, self.width() - 20, line, middle, self._title)
        for number, (lane, name, value) in enumerate(self._rows, start=1):
            top = 6 + number * line
            pen = theme.lane_pen(lane)
            pen.setWidth(2)
            painter.setPen(pen)
            painter.drawLine(10, top + line // 2, 32, top + line // 2)
            painter.setPen(theme.color("text"))
            wide = self.fontMetrics().horizontalAdvance(value)
            right = Qt.AlignmentFlag.AlignRight
            painter.drawText(self.width() - 10 - wide, top, wide, line, middle | right, value)
            left = self.width() - 60 - wide
            shown = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, left)
            painter.drawText(40, top, left, line, middle, shown)


def _short(value: float) -> str:
    return f"{value:g}" if value < 1 else three_digits(value).removesuffix(".00").removesuffix(".0")
