"""The coloured mark of a lane: its number over its line in the plot."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import (
    QWidget,
)

from playground.gui.toolkit import theme


class LaneSwatch(QWidget):
    """The lane's number on its colour, above its line's dash pattern."""

    def __init__(self, index: int = 0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._index = index
        self.setFixedSize(24, 26)
        theme.theme_changed.connect(self.update)
        self.set_index(index)

    def set_index(self, index: int) -> None:
        self._index = index
        self.setAccessibleName(f"Lane {index + 1}")
        self.setToolTip(f"Lane {index + 1}: this colour and line in the plot")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shade = theme.lane_line_color(self._index)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(shade)
        painter.drawRoundedRect(QRectF(2, 0, 20, 19), 5, 5)
        white, black = QColor("#ffffff"), QColor("#101214")
        best = max((white, black), key=lambda ink: theme.contrast(ink, shade))
        painter.setPen(best)
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.drawText(QRectF(2, 0, 20, 19), Qt.AlignmentFlag.AlignCenter, str(self._index + 1))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        pen = theme.lane_pen(self._index)
        pen.setWidth(2)
        painter.setPen(pen)
        painter.drawLine(QPointF(0, 23), QPointF(24, 23))
