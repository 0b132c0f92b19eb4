"""What went wrong in a lane and what to do about it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout

from playground.core.lane import Failure
from playground.gui.toolkit.widgets import wrapping_policy


class FailurePanel(QScrollArea):
    """As high as its text where there is room, and scrolled where there is not."""

    reviewRequested = Signal()

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
        self._message = QLabel()
        self._message.setProperty("tone", "danger")
        self._remedy = QLabel()
        column = QVBoxLayout(self._card)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(4)
        for label in (self._message, self._remedy):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            # A path without spaces must not make the lane wide.
            label.setSizePolicy(wrapping_policy())
            column.addWidget(label)
        self.review_button = QPushButton("&Review and allow…")
        self.review_button.setAutoDefault(False)
        self.review_button.setToolTip("Look at the model's own code; it runs only if you agree")
        self.review_button.clicked.connect(self.reviewRequested)
        column.addWidget(self.review_button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        self.setWidget(self._card)

    def show_failure(self, failure: Failure | None) -> None:
        """Show a failure, or nothing."""
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
        return QSize(200, self._wanted())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._fit()

    def _wanted(self) -> int:
        layout = self._card.layout()
        width = max(self.width(), 80)
        return max(self.minimumHeight(), layout.heightForWidth(width) if layout else 0)

    def _fit(self) -> None:
        self.setMaximumHeight(self._wanted())
        self.updateGeometry()
