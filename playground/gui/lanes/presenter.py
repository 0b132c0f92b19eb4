"""Connects one lane with its view, and keeps the conversation that it shows."""

from __future__ import annotations

import time
from functools import partial

from PySide6.QtCore import QObject, Signal, Slot

from playground.core.facts import Answer
from playground.core.generation import Prompt
from playground.core.lane import LaneConfig, Stage
from playground.core.model.reproduce import script
from playground.core.token_record import Alternative
from playground.core.trace import LatencyFigures
from playground.gui.lanes.availability import Availability
from playground.gui.lanes.commands import LaneCommand
from playground.gui.lanes.content import LaneContent
from playground.gui.lanes.conversation import Conversation, Exchange, Mode
from playground.gui.lanes.generation import Generation
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.lane_view import LaneView
from playground.gui.lanes.memory import headroom_left
from playground.gui.lanes.text import headroom_tip, stamp_text
from playground.gui.lanes.token_inspector import TokenInspector
from playground.gui.toolkit.question import Question


class LanePresenter(QObject):
    """One lane on the screen. Only answers to this presenter's `ask` are shown, not those of hidden
    measurements in the same lane."""

    changed = Signal(object)  # this presenter: its name or its answer changed

    def __init__(self, lane: LaneController, view: LaneView, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lane = lane
        self.view = view
        self.conversation = Conversation()
        self.available = Availability()
        self.run = 0  # the number of the run that the last exchange belongs to
        self._pieces: list[str] | None = None  # of the answer that is streaming
        self._generation: Generation | None = None  # of the last exchange
        self._queued = False
        self.inspector = TokenInspector(view.stream)
        lane.state_changed.connect(self.show_state)
        lane.text_arrived.connect(self._show_text)
        lane.answered.connect(self._answered)
        lane.broken.connect(self._broken)
        lane.counted.connect(view.show_prompt_tokens)
        view.header.configChosen.connect(self.configure)

    @property
    def name(self) -> str:
        """The model, the precision, and where the engine runs unless that is the default."""
        return " · ".join(filter(None, (self.available.model, self.lane.config.how)))

    @property
    def last_answer(self) -> Answer | None:
        last = self.conversation.last
        return last.answer if last else None

    @property
    def generation(self) -> Generation | None:
        """The last exchange's generation, unless the lane has been set to something else since."""
        generation = self._generation
        return generation if generation and generation.config == self.lane.config else None

    def figures(self) -> tuple[LatencyFigures, int | None]:
        """Return the figures of `generation` so far, and its peak memory (bytes) where known."""
        generation = self.generation
        if generation is None:
            return LatencyFigures(), None
        answer = generation.answer
        peak = answer.peak_memory_bytes if answer is not None else 0
        return generation.figures(), peak or None

    @Slot(object)
    def configure(self, config: LaneConfig) -> None:
        """Set the lane to what the user chose; while it answers, ask first."""
        if config == self.lane.config:
            return
        if self.lane.state.stage is not Stage.GENERATING:
            self._set_config(config)
            return
        question = Question(
            self.view,
            "Change the lane while it answers?",
            f"{self.name} is answering.",
            "A change ends its answer, and the lane loads again.",
            do="End the answer and change",
            keep="Keep answering",
        )
        question.answered.connect(partial(self._change_answered, config))
        question.open()

    def _change_answered(self, config: LaneConfig, change: bool) -> None:
        if change:
            self._set_config(config)
        else:
            self.view.show_config(self.lane.config, self.available)

    def _set_config(self, config: LaneConfig) -> None:
        moved = config.engine_environment != self.lane.config.engine_environment
        self.lane.set_config(config)
        if moved:
            self.lane.start_ahead()  # what the engine finds says which precisions it can run

    def show_available(self, available: Availability) -> None:
        """Show the lane's configuration and what it can be set to."""
        self.available = available
        self.view.show_config(self.lane.config, available)
        self.changed.emit(self)

    def ask(self, mode: Mode, typed: str, system: str = "", run: int = 0) -> Prompt:
        """Begin an exchange with the text typed, and return the prompt for the model.

        `run` numbers the runs of the window.
        """
        self.run = run
        self.conversation = self.conversation.asked(mode, typed, system)
        self._pieces = []
        self.view.clear_answer()
        self.inspector.follow(None)
        exchange = self.conversation.exchanges[-1]
        self.view.stream.begin_turn(exchange.role, exchange.typed)
        return exchange.prompt

    def go_on_from(self, number: int, instead: Alternative, run: int = 0) -> Prompt:
        """Ask the last prompt again, to go on from its answer with another token at `number`.

        Return the prompt for the model. Where the lane has another model by now, whose tokens are
        others, the answer begins anew. Raises LookupError where there is no last prompt.
        """
        generation, last = self.generation, self.conversation.last
        if last is None:
            raise LookupError("the lane has no prompt to ask again")
        ids: tuple[int, ...] = ()
        given = ""
        if generation is not None and 0 < number <= len(generation.ids):
            before = number - 1
            ids = (*generation.prompt.prefix_ids, *generation.ids[:before], instead.id)
            given = last.given + "".join(generation.texts[:before]) + instead.text
        self.run = run
        self.conversation = self.conversation.continued(ids, given)
        self._pieces = []
        self._redraw()
        self.view.stream.scroll_to_end()
        return self.conversation.exchanges[-1].prompt

    def count_tokens(self, mode: Mode, typed: str, system: str) -> None:
        """Show how many tokens a prompt would have, with what came before it."""
        prompt = self.conversation.prompt_for(mode, typed, system)
        if not typed or not self.lane.count(prompt):
            self.view.show_prompt_tokens(0)

    def drop_last(self) -> Exchange | None:
        """Remove the last exchange, also from the view, and return it."""
        dropped = self.conversation.last
        self.conversation = self.conversation.without_last()
        self.inspector.follow(None)
        self._redraw()
        return dropped

    def content(self) -> LaneContent:
        """Return what the lane shows, for `show_content`; of an answer under way what has come."""
        conversation = self.conversation
        if self._pieces is not None:
            conversation = conversation.with_text("".join(self._pieces))
        return LaneContent(conversation, self._generation, self.run)

    def show_content(self, content: LaneContent) -> None:
        """Show an earlier content instead of the conversation."""
        self.conversation, self.run = content.conversation, content.run
        self._generation, self._pieces = content.generation, None
        self._redraw()

    def clear(self) -> None:
        """Forget the conversation."""
        self.conversation = Conversation()
        self._pieces = self._generation = None
        self.inspector.follow(None)
        self._redraw()

    def copyable(self, command: LaneCommand) -> str:
        """Return the answer, script or stamp that a copy command copies; "" where none is yet."""
        last = self.conversation.last
        if last is None:
            return ""
        if command is LaneCommand.COPY_ANSWER:
            return last.given + (last.text or "".join(self._pieces or ()))
        if last.answer is None:
            return ""
        if command is LaneCommand.COPY_STAMP:
            return stamp_text(last.answer)
        return script(last.answer, last.prompt)

    @Slot()
    def show_state(self) -> None:
        """Show the lane's state and headroom as they are now."""
        if self._pieces is not None and self.lane.state.stage is Stage.GENERATING:
            self._generation = self.lane.generation
        self.view.show_state(self.lane.state, time.monotonic(), self._queued)
        self._show_headroom()

    def show_queued(self, queued: bool) -> None:
        """Show whether the lane waits for its turn in a run."""
        self._queued = queued
        self.show_state()

    def _show_headroom(self) -> None:
        left = headroom_left(self.lane)
        if left is None:
            self.view.show_headroom(None, "")
        else:
            tip = headroom_tip(left.used, left.context, left.token_bytes, left.free)
            self.view.show_headroom(left.left, tip)

    @Slot(str)
    def _show_text(self, text: str) -> None:
        if self._pieces is not None:
            self._pieces.append(text)
            self.view.stream.append(text)
            self.inspector.follow(self.generation)

    @Slot(object)
    def _answered(self, answer: Answer) -> None:
        if self._pieces is None:
            return
        self._pieces = None
        self.conversation = self.conversation.with_answer(answer)
        self.view.stream.end_turn()
        self.view.show_answer(answer)
        self.changed.emit(self)

    @Slot(object)
    def _broken(self, _: object) -> None:
        if self._pieces is None:
            return
        self.conversation = self.conversation.with_text("".join(self._pieces))
        self._pieces = None
        self.view.stream.end_turn()
        self.changed.emit(self)

    def _redraw(self) -> None:
        stream = self.view.stream
        self.inspector.follow(None)
        stream.clear_all()
        self.view.clear_answer()
        for exchange in self.conversation.exchanges:
            stream.begin_turn(exchange.role, exchange.typed)
            stream.give(exchange.given)
            stream.append(exchange.text)
            stream.end_turn()
        if self.last_answer is not None:
            self.view.show_answer(self.last_answer)
        self.changed.emit(self)
