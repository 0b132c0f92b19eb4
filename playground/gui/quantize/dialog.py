"""The dialog that makes a quantized copy: options, cost, and progress by layer."""

from __future__ import annotations

import time

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QDialog, QFrame, QPushButton, QWidget

from playground.core.format import device_label
from playground.gui.quantize.controller import QuantizeController
from playground.gui.quantize.options import QuantizeOptions
from playground.gui.quantize.text import (
    cost_text,
    memory_is_short,
    result_text,
    shows_progress,
    start_text,
    status_text,
)
from playground.gui.toolkit.failure_panel import FailurePanel
from playground.gui.toolkit.thin_bar import ThinBar
from playground.gui.toolkit.widgets import (
    announce,
    h_box,
    message_label,
    muted_label,
    plain_label,
    push_button,
    set_kind,
    v_box,
)

_CLOCK_MS = 250


class QuantizeDialog(QDialog):
    """Shows the controller's state beside the window, which stays usable.

    Closing it ends the engine. While a copy is being written it is only put away: the copy goes on.
    """

    put_away = Signal()  # a copy is being written
    loadRequested = Signal(object)  # the QuantizedModel to load in a lane

    def __init__(self, controller: QuantizeController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Make a quantized copy")
        self._controller = controller
        self._shown_stage = controller.state.stage
        self._height = 0
        self._resizing = QTimer(self, singleShot=True, interval=0)
        self._resizing.timeout.connect(self._fit_height)
        self._build()
        self._clock = QTimer(self, interval=_CLOCK_MS)
        self._clock.timeout.connect(self._tick)
        self._clock.start()
        controller.changed.connect(self.refresh)
        self.resize(620, 0)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Show the controller's state."""
        state, request = self._controller.state, self._controller.request
        name = request.name if request is not None else "…"
        self.title.setText(name)
        if request is not None:
            self.where.setText(f"{device_label(request.device)} · {request.commit[:19]}")
            self.options.show_request(request)
        else:
            self.where.clear()
        self.options.setEnabled(request is not None and not state.running)
        self.cost.setText(cost_text(state))
        set_kind(self.cost, "tone", "warning" if memory_is_short(state) else "heading")
        self.basis.setText(state.estimate.basis if state.estimate is not None else "")
        self.costs.setVisible(state.estimate is not None and state.result is None)
        self.failure.show_failure(state.failure)
        self.bar.set_progress(shows_progress(state), state.fraction)
        self.outcome.setText(result_text(state.result) if state.result is not None else "")
        self.outcome.setVisible(state.result is not None)
        self.start_button.setText(start_text(request))
        self.start_button.setVisible(not state.running and state.result is None)
        self.start_button.setEnabled(state.can_start)
        self.cancel_button.setVisible(state.running)
        self.cancel_button.setEnabled(not state.stopping)
        self.load_button.setVisible(state.result is not None)
        self.close_button.setText("&Hide" if state.running else "C&lose")
        self.close_button.setToolTip("The copy goes on in the background" if state.running else "")
        self._tick()
        if state.stage is not self._shown_stage:
            self._shown_stage = state.stage
            announce(self, self.outcome.text() or self.status.text())
            self._focus_next()
        # Wrapped texts and hidden options change the height, once the layout has seen them.
        self._resizing.start()

    def reject(self) -> None:
        """Close, or put the dialog away where a copy is being written."""
        if self._controller.state.running:
            self._put_away()
            return
        self._leave()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._controller.state.running and self.isVisible():
            event.ignore()
            self._put_away()
            return
        self._leave()
        super().closeEvent(event)

    def _build(self) -> None:
        self.title = plain_label("", "heading")
        self.where = muted_label("")
        self.options = QuantizeOptions()
        self.options.changed.connect(self._changed)
        self.cost = message_label()
        self.basis = muted_label("", wrap=True)
        self.costs = QFrame()
        costs = v_box(self.costs, spacing=4)
        costs.addWidget(self.cost)
        costs.addWidget(self.basis)
        self.failure = FailurePanel()
        self.failure.hide()
        self.status = muted_label("")
        self.bar = ThinBar()
        self.bar.setAccessibleName("Progress of the copy")
        self.outcome = message_label("success")
        self.start_button = QPushButton()
        self.start_button.setProperty("kind", "primary")
        self.start_button.setDefault(True)
        self.start_button.clicked.connect(self._controller.start)
        # Far from the start button, so that a double click there does not cancel.
        self.cancel_button = push_button("&Cancel", kind="danger")
        self.cancel_button.clicked.connect(self._controller.cancel)
        self.load_button = QPushButton("&Load it in a lane")
        self.load_button.setProperty("kind", "primary")
        self.load_button.clicked.connect(self._load)
        self.close_button = push_button("C&lose")
        self.close_button.clicked.connect(self.reject)

        head = h_box(self.title, self.where)
        head.insertStretch(1, 1)
        buttons = h_box(self.cancel_button, self.start_button, self.load_button, self.close_button)
        buttons.insertStretch(1, 1)
        column = v_box(self, margin=16, spacing=12)
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
        result = self._controller.state.result
        if result is not None:
            self.loadRequested.emit(result)
            self._leave()

    def _fit_height(self) -> None:
        """Resize to the height that the contents need, where that has changed."""
        layout, inner = self.layout(), self.options.layout()
        if layout is None or inner is None:
            return
        # Otherwise the layouts would return outdated heights.
        inner.activate()
        layout.activate()
        needed = layout.totalHeightForWidth(self.width())
        if needed != self._height:
            self._height = needed
            self.resize(self.width(), needed)

    def _focus_next(self) -> None:
        """Move the focus to the button of the next step, never to Cancel."""
        state = self._controller.state
        if state.result is not None:
            self.load_button.setFocus()
        elif state.can_start:
            self.start_button.setFocus()

    def _put_away(self) -> None:
        self.hide()
        self.put_away.emit()

    def _leave(self) -> None:
        self._clock.stop()
        self._resizing.stop()
        self._controller.changed.disconnect(self.refresh)
        self._controller.close()
        super().reject()
