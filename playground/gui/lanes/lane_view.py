"""One lane: its choices, what it is doing, its text and the stamp under it."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal, Slot
from PySide6.QtGui import (
    QAction,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from playground.core.facts import Answer
from playground.core.lane import Failure, LaneConfig, LaneState, Stage
from playground.gui.lanes import text as texts
from playground.gui.lanes.availability import Availability
from playground.gui.lanes.commands import LaneCommand
from playground.gui.lanes.details_dialog import DetailsDialog
from playground.gui.lanes.header import LaneHeader
from playground.gui.lanes.stream_view import Difference, StreamView
from playground.gui.toolkit.drops import accept_copy, local_folders
from playground.gui.toolkit.elided import ElidedButton, ElidedLabel
from playground.gui.toolkit.failure_panel import FailurePanel
from playground.gui.toolkit.thin_bar import ThinBar
from playground.gui.toolkit.widgets import announce, muted_label, plain_label, set_kind

_NARROW = 340  # width below which a lane leaves out words
_CLOCK = 44  # pixels of the status line that a long badge leaves in a narrow lane
#: Commands that wait until a generation is over.
_NOT_WHILE_GENERATING = (
    LaneCommand.REGENERATE,
    LaneCommand.COPY_ANSWER,
    LaneCommand.COPY_SCRIPT,
    LaneCommand.COPY_STAMP,
)

_CURRENT = "The current lane: commands of the menus concern it"


class LaneView(QFrame):
    """Draws a lane's configuration and state; its header emits the configuration chosen."""

    commanded = Signal(object)  # a LaneCommand
    retitled = Signal()  # `title` has changed
    foldersDropped = Signal(object)  # a list of paths

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self.setAcceptDrops(True)
        self.setMinimumWidth(216)
        self._index = 0
        self._label = ""
        self._state = LaneState()
        self._queued = False
        self._left: int | None = None  # tokens
        self._prompt_tokens = 0  # of the prompt that is being typed
        self._announced = ""  # the last text for a screen reader

        self.header = LaneHeader()
        self.header.command_group.triggered.connect(self._command_triggered)
        commands = self.header.commands
        self.badge = ElidedButton()
        self.badge.reserve(20)
        self.badge.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.badge.setProperty("kind", "badge")
        self.badge.setCursor(Qt.CursorShape.WhatsThisCursor)
        self.badge.clicked.connect(self._show_badge_tip)
        self.badge.setAccessibleName("Verified precision")
        self.badge.setToolTip("The precision counted in the loaded model")
        self.badge.hide()
        self.status = ElidedLabel()
        self.status.setProperty("tone", "muted")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setProperty("kind", "danger")
        self.cancel_button.clicked.connect(commands[LaneCommand.CANCEL].trigger)
        self.cancel_button.hide()
        self.details_button = QPushButton("De&tails…")
        self.details_button.setToolTip("Show the engine's own message")
        self.details_button.clicked.connect(self._show_details)
        self.details_button.hide()
        self.anyway_button = QPushButton("Load an&yway")
        self.anyway_button.setToolTip("Load the model although too little memory seems to be free")
        self.anyway_button.clicked.connect(commands[LaneCommand.LOAD].trigger)
        self.anyway_button.hide()
        self.bar = ThinBar()
        self.failure = FailurePanel()
        self.failure.hide()
        self.failure.review_button.clicked.connect(commands[LaneCommand.REVIEW_CODE].trigger)
        self.stream = StreamView()
        self.stamp = ElidedLabel()
        self.stamp.setProperty("tone", "muted")
        self.stamp.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.difference = ElidedLabel()
        self.difference.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.difference.hide()
        self.caveat = plain_label("", "warning")
        self.caveat.hide()
        self.headroom = muted_label("")
        self.headroom.setToolTip("How many more tokens fit into the context and the memory")
        self.headroom.hide()

        row = QWidget()
        row.setFixedHeight(30)  # nothing moves when the button appears or disappears
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(8)
        line.addWidget(self.badge)
        line.addWidget(self.status, 1)
        line.addWidget(self.cancel_button)
        line.addWidget(self.details_button)
        line.addWidget(self.anyway_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 6)
        column.setSpacing(4)
        column.addWidget(self.header)
        column.addWidget(row)
        column.addWidget(self.bar)
        column.addWidget(self.failure)
        column.addWidget(self.stream, 100)
        column.addWidget(self.difference)
        column.addStretch(1)  # keeps the header compact where a failure hides the text
        foot = QHBoxLayout()
        foot.setContentsMargins(0, 0, 0, 0)
        foot.setSpacing(8)
        foot.addWidget(self.caveat)
        foot.addWidget(self.stamp, 1)
        foot.addWidget(self.headroom)
        column.addLayout(foot)

        self.set_index(0)
        self.show_state(LaneState(), 0.0)

    # What is shown

    def show_config(self, config: LaneConfig, available: Availability) -> None:
        """Show what is chosen and what could be; unavailable precisions are greyed out."""
        self._label = f"{available.model} · {config.how}"
        self.header.show_config(config, available)
        self._name()

    def show_state(self, state: LaneState, now: float, queued: bool = False) -> None:
        """Show the lane's state at the monotonic time `now` (s).

        `queued`: the lane is part of a run, and its turn has not come. Cheap when little changed.
        """
        text = texts.status_text(state, now, queued)
        shown = texts.status_text(state, now, queued, clock_first=self._narrow())
        self.status.set_full_text(shown, text if shown != text else "")
        self.bar.set_progress(state.busy, state.fraction, texts.shows_progress(state))
        if state is self._state and queued is self._queued and self._announced:
            return
        self._state, self._queued = state, queued
        active = state.stage in (Stage.STARTING, Stage.LOADING, Stage.GENERATING)
        self.header.set_loaded(state.loaded is not None)
        self.header.load_button.setEnabled(not state.busy)
        self.cancel_button.setVisible(active or state.unresponsive)
        generating = state.stage is Stage.GENERATING
        text, tip = "Cancel", "Cancel loading and end the engine"
        if state.unresponsive:
            text, tip = "End engine", "End the engine's process now"
        elif generating:
            text, tip = "Stop", "Stop after the current token"
        self.cancel_button.setText(text)
        self.cancel_button.setToolTip(tip)
        self.badge.setVisible(state.loaded is not None)
        if state.loaded is not None:
            self.badge.set_full_text(*texts.badge_texts(state.loaded))
            tip = texts.badge_tip(state.loaded)
            self.badge.setToolTip(tip)
            self.badge.setAccessibleName(f"Verified precision: {self.badge.full_text()}")
            self.badge.setAccessibleDescription(tip)
            set_kind(self.badge, "bad", bool(state.loaded.mismatch))
        wrong = state.failure or (texts.NO_REACTION if state.unresponsive else None)
        self.failure.show_failure(wrong)
        self.details_button.setVisible(bool(state.failure and state.failure.detail))
        self.anyway_button.setVisible(bool(state.failure and state.failure.may_insist))
        self.stream.setVisible(state.failure is None or not self.stream.document().isEmpty())
        set_kind(self.status, "tone", "danger" if wrong else "muted")
        self.stream.set_hint(texts.hint_text(state, queued))
        for command in _NOT_WHILE_GENERATING:
            self.header.commands[command].setEnabled(not generating)
        self._announce(texts.stage_text(state), wrong)

    def show_answer(self, answer: Answer) -> None:
        """Show the stamp of a finished answer under the text."""
        self.caveat.setText(texts.caveat_text(answer))
        self.caveat.setToolTip(texts.timing_text(answer.stamp.timing, answer.stamp.disturbed_by))
        self.caveat.setVisible(bool(self.caveat.text()))
        self._fit_headroom()
        self.stamp.set_full_text(texts.stamp_line(answer), texts.stamp_text(answer))

    def show_difference(self, text: str, marks: Difference | None = None) -> None:
        """Show how far the answer agrees with the reference lane's, and mark where it differs."""
        self.difference.set_full_text(text)
        self.difference.setVisible(bool(text))
        self.stream.mark(marks)

    def clear_answer(self) -> None:
        """Remove the stamp with the answer that it belongs to."""
        self.stamp.set_full_text("")
        self.caveat.hide()
        self._fit_headroom()

    def show_headroom(self, left: int | None, tip: str) -> None:
        """Show how many more tokens fit, nothing for None."""
        self._left = left
        self.headroom.setToolTip(tip)
        self.headroom.setAccessibleDescription(tip)
        self._fit_headroom()

    @Slot(int)
    def show_prompt_tokens(self, count: int) -> None:
        """Show how many tokens the prompt that is being typed has here; 0: nothing."""
        if count != self._prompt_tokens:
            self._prompt_tokens = count
            self._fit_headroom()

    def set_index(self, index: int) -> None:
        """Take the colour, dash pattern and number of the lane at `index`."""
        self._index = index
        self.header.swatch.set_index(index)
        self._name()

    def set_current(self, current: bool) -> None:
        """Show whether the menus' commands concern this lane."""
        if bool(self.property("current")) == current:
            return
        set_kind(self, "current", current)
        self.setAccessibleDescription(_CURRENT if current else "")

    def set_enlarged(self, enlarged: bool) -> None:
        button = self.header.enlarge_button
        button.set_icon_name("shrink" if enlarged else "enlarge")
        name = "Show all lanes again" if enlarged else "Enlarge the lane"
        button.setToolTip(name)
        button.setAccessibleName(name)
        text = "Show &all lanes" if enlarged else "&Enlarge"
        self.header.commands[LaneCommand.ENLARGE].setText(text)

    def set_neighbours(self, left: bool, right: bool, others: bool) -> None:
        """Enable moving to the sides where there are lanes, and removing where one is left."""
        self.header.commands[LaneCommand.MOVE_LEFT].setEnabled(left)
        self.header.commands[LaneCommand.MOVE_RIGHT].setEnabled(right)
        self.header.commands[LaneCommand.REMOVE].setEnabled(others)

    def title(self) -> str:
        """The lane's number and what it runs, for lists of lanes."""
        return f"{self._index + 1} · {self._label}" if self._label else f"Lane {self._index + 1}"

    def focus_first(self) -> None:
        """Put the keyboard focus on the lane's text, where the keys scroll it."""
        first = self.stream if self.stream.isVisibleTo(self) else self.header.model
        first.setFocus(Qt.FocusReason.ShortcutFocusReason)

    # Qt's side

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.header.set_narrow(self._narrow())
        self.status.setMinimumWidth(_CLOCK if self._narrow() else 0)
        self._fit_headroom()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if local_folders(event.mimeData()):
            set_kind(self, "dropping", True)
            accept_copy(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        accept_copy(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        set_kind(self, "dropping", False)

    def dropEvent(self, event: QDropEvent) -> None:
        set_kind(self, "dropping", False)
        accept_copy(event)
        if folders := local_folders(event.mimeData()):
            self.foldersDropped.emit(folders)

    # Inside

    def _narrow(self) -> bool:
        return self.width() < _NARROW

    def _fit_headroom(self) -> None:
        count = self._prompt_tokens
        text = texts.headroom_text(self._left, count, narrow=self._narrow())
        self.headroom.setText(text)
        set_kind(
            self.headroom, "tone", "warning" if texts.is_too_long(self._left, count) else "muted"
        )
        beside_caveat = self._narrow() and not self.caveat.isHidden()
        self.headroom.setVisible(self._left == 0 or bool(text and not beside_caveat))

    @Slot(QAction)
    def _command_triggered(self, action: QAction) -> None:
        self.commanded.emit(action.data())

    def _show_badge_tip(self) -> None:
        below = self.badge.mapToGlobal(QPoint(0, self.badge.height()))
        QToolTip.showText(below, self.badge.toolTip(), self.badge)

    def _show_details(self) -> None:
        failure = self._state.failure
        if failure is not None:
            dialog = DetailsDialog(failure.message, failure.detail, self)
            dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            dialog.open()

    def _name(self) -> None:
        self.setAccessibleName(f"Lane {self.title()}")
        number = self._index + 1
        self.stream.setAccessibleName(f"Text of lane {number}")
        self.status.setAccessibleDescription(f"Status of lane {number}")
        self.retitled.emit()

    def _announce(self, text: str, failure: Failure | None) -> None:
        spoken = f"Lane {self._index + 1}: {text}"
        if failure is not None:
            spoken += f". {failure.message} {failure.remedy}"
        if spoken != self._announced:
            self._announced = spoken
            announce(self, spoken)
