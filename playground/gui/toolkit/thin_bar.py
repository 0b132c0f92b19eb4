"""A progress bar of four pixels."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from playground.gui.toolkit import theme


class ThinBar(QWidget):
    """Shows a fraction, a moving piece where none is known, or nothing while idle."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(4)
        self.setAccessibleName("Progress")
        self._fraction: float | None = None
        self._busy = False
        self._moving = False
        self._phase = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(40)
        self._timer.timeout.connect(self._step)
        theme.theme_changed.connect(self.update)

    def set_progress(self, busy: bool, fraction: float | None, moving: bool = True) -> None:
        """Show `fraction` (0 to 1); for None a piece that moves, if `moving`, or a full bar."""
        if (busy, fraction) != (self._busy, self._fraction):
            self._busy, self._fraction = busy, fraction
            percent = f"{fraction:.0%}" if fraction is not None else "unknown"
            self.setAccessibleDescription(percent if busy else "idle")
            self.update()
        self._moving = busy and fraction is None and moving
        self._run(self._moving)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._busy:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        whole = QRectF(self.rect())
        painter.setBrush(theme.color("border"))
        painter.drawRoundedRect(whole, 2, 2)
        painter.setBrush(theme.color("accent"))
        if self._fraction is not None:
            part = min(max(self._fraction, 0.0), 1.0)
            painter.drawRoundedRect(QRectF(0, 0, whole.width() * part, 4), 2, 2)
        elif self._moving:
            length = whole.width() * 0.3
            left = (whole.width() + length) * self._phase - length
            piece = QRectF(left, 0, length, 4).intersected(whole)
            painter.drawRoundedRect(piece, 2, 2)
        else:
            painter.drawRoundedRect(whole, 2, 2)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._run(self._moving)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def _run(self, on: bool) -> None:
        if on and self.isVisible():
            if not self._timer.isActive():
                self._timer.start()
        elif self._timer.isActive():
            self._timer.stop()
            self.update()

    def _step(self) -> None:
        self._phase = (self._phase + 0.02) % 1.0
        self.update()
