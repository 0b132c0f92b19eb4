"""Shows what went wrong in a lane, and what to do about it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout

from playground.core.lane import Failure
from playground.gui.toolkit.widgets import message_label, push_button


class FailurePanel(QScrollArea):
    """A panel as high as its text where there is space, and scrolled where there is not."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Failure")
        self._failure: Failure | None = None
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setMinimumHeight(64)
        self._card = QFrame()
        self._card.setObjectName("failure")
        self._message, self._remedy = message_label("danger"), message_label()
        column = QVBoxLayout(self._card)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(4)
        column.addWidget(self._message)
        column.addWidget(self._remedy)
        self.review_button = push_button(
            "&Review and allow…", "Read the model's own code; it runs only if you agree"
        )
        column.addWidget(self.review_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        self.setWidget(self._card)

    def show_failure(self, failure: Failure | None) -> None:
        """Show a failure, or hide the panel for None."""
        if failure == self._failure:
            return
        self._failure = failure
        self.setVisible(failure is not None)
        if failure is None:
            return
        self._message.setText(failure.message)
        self._remedy.setText(failure.remedy)
        self._remedy.setVisible(bool(failure.remedy))
        self.review_button.setVisible(failure.remote_code)
        self.setAccessibleName(f"Failure: {failure.message}")
        self.setAccessibleDescription(failure.remedy)
        self._fit()

    def sizeHint(self) -> QSize:
        return QSize(200, self._needed_height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._fit()

    def _needed_height(self) -> int:
        layout = self._card.layout()
        width = max(self.width(), 80)
        return max(self.minimumHeight(), layout.heightForWidth(width) if layout else 0)

    def _fit(self) -> None:
        self.setMaximumHeight(self._needed_height())
        self.updateGeometry()
