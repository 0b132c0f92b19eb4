"""The window that makes a quantized copy: options, what it costs, progress by layer."""

from __future__ import annotations

import time

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from playground.gui.quantize.controller import QuantizeController
from playground.gui.quantize.options import QuantizeOptions
from playground.gui.quantize.text import (
    cost_text,
    made_text,
    memory_is_short,
    shows_progress,
    start_text,
    status_text,
)
from playground.gui.toolkit.failure_panel import FailurePanel
from playground.gui.toolkit.question import Question
from playground.gui.toolkit.thin_bar import ThinBar
from playground.gui.toolkit.widgets import announce, muted_label, set_kind, wrapping_policy

_CLOCK_MS = 250


class QuantizeDialog(QDialog):
    """Shows the controller's state; closing it ends the engine, after asking where it works."""

    loadRequested = Signal(object)  # the QuantizedModel, for a lane

    def __init__(self, controller: QuantizeController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Make a quantized copy")
        self._controller = controller
        self._shown_stage = controller.state.stage
        self._wanted = 0
        self._fitting = QTimer(self, singleShot=True, interval=0)
        self._fitting.timeout.connect(self._fit)
        self._build()
        self._clock = QTimer(self, interval=_CLOCK_MS)
        self._clock.timeout.connect(self._tick)
        self._clock.start()
        controller.changed.connect(self.refresh)
        self.resize(620, 0)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Bring everything up to date."""
        state, request = self._controller.state, self._controller.request
        name = request.name if request is not None else "…"
        self.title.setText(name)
        device = "CPU" if request is not None and request.device == "cpu" else ""
        where = f"{device or request.device} · {request.commit[:19]}" if request else ""
        self.where.setText(where)
        if request is not None:
            self.options.show_request(request)
        self.options.setEnabled(request is not None and not state.running)
        self.cost.setText(cost_text(state))
        set_kind(self.cost, "tone", "warning" if memory_is_short(state) else "heading")
        self.basis.setText(state.estimate.basis if state.estimate is not None else "")
        self.costs.setVisible(state.estimate is not None and state.made is None)
        self.failure.show_failure(state.failure)
        self.bar.set_progress(shows_progress(state), state.fraction)
        self.outcome.setText(made_text(state.made) if state.made is not None else "")
        self.outcome.setVisible(state.made is not None)
        self.start_button.setText(start_text(request))
        self.start_button.setVisible(not state.running and state.made is None)
        self.start_button.setEnabled(state.can_start)
        self.cancel_button.setVisible(state.running)
        self.cancel_button.setEnabled(not state.stopping)
        self.load_button.setVisible(state.made is not None)
        self._tick()
        if state.stage is not self._shown_stage:
            self._shown_stage = state.stage
            announce(self, self.outcome.text() or self.status.text())
            self._focus_next()
        # A wrapped text or hidden options need another height, once the layout knows of them.
        self._fitting.start()

    def reject(self) -> None:
        """Close; where a copy is being written, ask first."""
        if self._controller.state.running:
            self._ask()
            return
        self._leave()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._controller.state.running and self.isVisible():
            event.ignore()
            self._ask()
            return
        self._leave()
        super().closeEvent(event)

    @Slot()
    def start(self) -> None:
        self._controller.start()

    @Slot()
    def cancel(self) -> None:
        self._controller.cancel()

    def _build(self) -> None:
        self.title = QLabel()
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.title.setProperty("tone", "heading")
        self.where = muted_label("")
        self.options = QuantizeOptions()
        self.options.changed.connect(self._changed)
        self.cost = _text()
        self.basis = muted_label("", wrap=True)
        self.costs = QFrame()
        costs = QVBoxLayout(self.costs)
        costs.setContentsMargins(0, 0, 0, 0)
        costs.setSpacing(4)
        costs.addWidget(self.cost)
        costs.addWidget(self.basis)
        self.failure = FailurePanel()
        self.failure.hide()
        self.status = muted_label("")
        self.bar = ThinBar()
        self.bar.setAccessibleName("Progress of the copy")
        self.outcome = _text()
        self.outcome.setProperty("tone", "success")
        self.start_button = QPushButton()
        self.start_button.setProperty("kind", "primary")
        self.start_button.setDefault(True)
        self.start_button.clicked.connect(self.start)
        # Far from the button that starts: a double click there must not cancel.
        self.cancel_button = QPushButton("&Cancel")
        self.cancel_button.setProperty("kind", "danger")
        self.cancel_button.setAutoDefault(False)
        self.cancel_button.clicked.connect(self.cancel)
        self.load_button = QPushButton("&Load it in a lane")
        self.load_button.setProperty("kind", "primary")
        self.load_button.clicked.connect(self._load)
        self.close_button = QPushButton("C&lose")
        self.close_button.setAutoDefault(False)
        self.close_button.clicked.connect(self.reject)

        head = QHBoxLayout()
        head.addWidget(self.title)
        head.addStretch(1)
        head.addWidget(self.where)
        buttons = QHBoxLayout()
        buttons.addWidget(self.cancel_button)
        buttons.addStretch(1)
        buttons.addWidget(self.start_button)
        buttons.addWidget(self.load_button)
        buttons.addWidget(self.close_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addLayout(head)
        for widget in (
            self.options, self.costs, self.outcome, self.failure, self.status, self.bar,
        ):  # fmt: skip
            column.addWidget(widget)
        column.addStretch(1)
        column.addLayout(buttons)

    @Slot(object)
    def _changed(self, options: dict[str, object]) -> None:
        self._controller.change(**options)

    @Slot()
    def _tick(self) -> None:
        self.status.setText(status_text(self._controller.state, time.monotonic()))

    @Slot()
    def _load(self) -> None:
        made = self._controller.state.made
        if made is not None:
            self.loadRequested.emit(made)
            self._leave()

    def _fit(self) -> None:
        """Take the height that the contents need, once each time it changes."""
        layout, inner = self.layout(), self.options.layout()
        if layout is None or inner is None:
            return
        # Otherwise they would answer with what they knew before.
        inner.activate()
        layout.activate()
        wanted = layout.totalHeightForWidth(self.width())
        if wanted != self._wanted:
            self._wanted = wanted
            self.resize(self.width(), wanted)

    def _focus_next(self) -> None:
        """Put the focus where the next step is; Enter must never cancel."""
        state = self._controller.state
        if state.made is not None:
            self.load_button.setFocus()
        elif state.can_start:
            self.start_button.setFocus()

    def _ask(self) -> None:
        """Ask before work is thrown away. Doesn't block: the answer comes later."""
        if self.findChild(Question) is not None:
            return
        question = Question(
            self,
            "Still at work",
            "The copy is not finished.",
            "Closing cancels it, and nothing of it stays.",
            do="&Cancel it and close",
            keep="&Go on",
        )
        question.answered.connect(self._answered)
        question.open()

    @Slot(bool)
    def _answered(self, agreed: bool) -> None:
        if agreed:
            self._leave()

    def _leave(self) -> None:
        self._clock.stop()
        self._fitting.stop()
        self._controller.changed.disconnect(self.refresh)
        self._controller.close()
        super().reject()


def _text() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setSizePolicy(wrapping_policy())
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
