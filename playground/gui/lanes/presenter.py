"""Ties one lane to its view, and keeps what was asked and answered there."""

from __future__ import annotations

import time

from PySide6.QtCore import QObject, Signal, Slot

from playground.core.facts import Answer
from playground.core.generation import Prompt
from playground.core.model.reproduce import script
from playground.core.precision import Precision
from playground.core.trace import LatencyFigures
from playground.gui.lanes.conversation import Conversation, Exchange, Mode
from playground.gui.lanes.generation import Generation
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.lane_view import LaneView
from playground.gui.lanes.memory import headroom_left
from playground.gui.lanes.text import headroom_text, headroom_tip, stamp_text


class LanePresenter(QObject):
    """One lane on the screen. Text that no `ask` of this presenter caused is not shown."""

    answer_changed = Signal()  # an answer came, broke off or was taken away

    def __init__(self, lane: LaneController, view: LaneView, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lane = lane
        self.view = view
        self.conversation = Conversation()
        self.model_label = ""
        self.reasons: dict[Precision, str] = {}  # why a precision cannot be had, where it cannot
        self._pieces: list[str] | None = None  # of the answer that is coming
        self._waits = False
        lane.state_changed.connect(self.show_state)
        lane.text_arrived.connect(self._show_text)
        lane.answered.connect(self._answered)
        lane.broken.connect(self._broken)
        view.unloadRequested.connect(lane.unload)
        view.cancelRequested.connect(lane.cancel)
        view.loadRequested.connect(self._load)

    @property
    def name(self) -> str:
        """Model, precision and another environment than our own, for the plot and the table."""
        config = self.lane.config
        precision = config.precision.short_label
        parts = (self.model_label, precision, config.environment)
        return " · ".join(part for part in parts if part)

    @property
    def last_answer(self) -> Answer | None:
        last = self.conversation.last
        return last.answer if last else None

    @property
    def generation(self) -> Generation | None:
        """The last generation of what the lane is set to now; another model's is not its own."""
        generation = self.lane.generation
        return generation if generation and generation.config == self.lane.config else None

    def figures(self) -> tuple[LatencyFigures, int | None]:
        """The figures of `generation` so far, and its peak memory where it is known."""
        generation = self.generation
        if generation is None:
            return LatencyFigures(), None
        answer = generation.answer
        return generation.figures(), None if answer is None else answer.peak_memory_bytes

    def ask(self, mode: Mode, typed: str, system: str = "") -> Prompt:
        """Open an exchange with what was typed, and return what to send to the model."""
        self.conversation = self.conversation.asked(mode, typed, system)
        self._pieces = []
        self.view.clear_answer()
        exchange = self.conversation.exchanges[-1]
        self.view.stream.begin_turn(exchange.role, exchange.typed)
        return exchange.prompt

    def drop_last(self) -> Exchange | None:
        """Take the last exchange away, also from the view, and return it."""
        dropped = self.conversation.last
        self.conversation = self.conversation.without_last()
        self._redraw()
        return dropped

    def clear(self) -> None:
        """Forget everything that was asked and answered."""
        self.conversation = Conversation()
        self._pieces = None
        self._redraw()

    def copyable(self, kind: str) -> str:
        """The text to copy for "answer", "stamp" or "script"; "" where there is none yet."""
        last = self.conversation.last
        if last is None:
            return ""
        if kind == "answer":
            return last.text or "".join(self._pieces or ())
        if last.answer is None:
            return ""
        return (
            stamp_text(last.answer) if kind == "stamp" else script(last.answer.stamp, last.prompt)
        )

    @Slot()
    def show_state(self) -> None:
        self.view.show_state(self.lane.state, time.monotonic(), self._waits)
        self._show_headroom()

    def show_waiting(self, waits: bool) -> None:
        """Say that the lane waits for its turn in a run, or not any more."""
        self._waits = waits
        self.show_state()

    def _show_headroom(self) -> None:
        left = headroom_left(self.lane)
        if left is None:
            self.view.show_headroom("", "")
        else:
            tip = headroom_tip(left.used, left.context, left.token_bytes, left.free)
            self.view.show_headroom(headroom_text(left.left), tip)

    @Slot()
    def _load(self) -> None:
        self.lane.load(insist=True)

    @Slot(str)
    def _show_text(self, text: str) -> None:
        if self._pieces is not None:
            self._pieces.append(text)
            self.view.stream.append(text)

    @Slot(object)
    def _answered(self, answer: Answer) -> None:
        if self._pieces is None:
            return
        self._pieces = None
        self.conversation = self.conversation.with_answer(answer)
        self.view.stream.end_turn()
        self.view.show_answer(answer)
        self.answer_changed.emit()

    @Slot(object)
    def _broken(self, _: object) -> None:
        if self._pieces is None:
            return
        self.conversation = self.conversation.with_text("".join(self._pieces))
        self._pieces = None
        self.view.stream.end_turn()
        self.answer_changed.emit()

    def _redraw(self) -> None:
        stream = self.view.stream
        stream.clear_all()
        self.view.clear_answer()
        for exchange in self.conversation.exchanges:
            stream.begin_turn(exchange.role, exchange.typed)
            stream.append(exchange.text)
            stream.end_turn()
        if self.last_answer is not None:
            self.view.show_answer(self.last_answer)
        self.answer_changed.emit()
