"""One lane: its engine, its state, and which command has what effect in which state."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.core.facts import Answer, EngineFacts
from playground.core.generation import GenerationOptions, Prompt, Timing
from playground.core.lane import (
    Failure,
    GenerateSent,
    LaneConfig,
    LaneEvent,
    LaneState,
    LoadRequested,
    ProcessEnded,
    Refused,
    Stage,
    UnloadRequested,
    advance,
)
from playground.core.memory.headroom import free_bytes
from playground.core.protocol import (
    Cancel,
    Counted,
    CountTokens,
    Event,
    Failed,
    Finished,
    Ready,
    Started,
)
from playground.gui.engines.engine_slot import EngineFactory, EngineSlot
from playground.gui.engines.worker import EngineEnd
from playground.gui.lanes.generation import Generation
from playground.gui.lanes.outcomes import no_environment, process_ended
from playground.gui.lanes.preparation import FreeBytes, LanePreparation, Prepare
from playground.gui.toolkit.background import Background
from playground.hub.local.fingerprint import is_sampled

log = logging.getLogger(__name__)

#: How long an engine may take to react to a stop before ending its process is offered.
STOP_WAIT_MS = 2000
TakeStandby = Callable[[str], EngineSlot | None]
#: What a lane does beside the answer of another, by stage, in words that go on after "while".
_WORK = {
    Stage.STARTING: "another lane started an engine",
    Stage.LOADING: "another lane loaded a model",
    Stage.GENERATING: "another lane generated",
    Stage.UNLOADING: "another lane unloaded a model",
}


class LaneController(QObject):
    """Drives one lane; knows no view.

    It has at most one engine process at a time. Every command may be given in every state; one
    that does not fit has no effect. `state` is all that a view shows.
    """

    state_changed = Signal(object)  # the lane
    config_changed = Signal(object)  # the lane
    facts_arrived = Signal(object)  # the lane, whose `facts` are new
    tokens_arrived = Signal(object)  # Tokens events of the generation, in their order
    text_arrived = Signal(str)
    answered = Signal(object)  # an Answer, whose text has arrived before
    broken = Signal(object)  # a Failure: the generation ended without an answer
    counted = Signal(int)  # the tokens of the prompt that `count` got last, 0: not known
    gone = Signal(object)  # the lane, whose engine process has ended

    def __init__(
        self,
        config: LaneConfig,
        background: Background,
        make_engine: EngineFactory,
        prepare: Prepare,
        free: FreeBytes = free_bytes,
        take_standby: TakeStandby = lambda _: None,
        parent: QObject | None = None,
    ) -> None:
        """`take_standby` gives the standby engine of an environment to the lane, or None."""
        super().__init__(parent)
        self.config = config
        self.state = LaneState()
        self.generation: Generation | None = None
        self._free = free
        self._take_standby = take_standby
        self._engine = self._listen_to(EngineSlot(make_engine, self))
        self._preparation = LanePreparation(background, prepare, free, self)
        self._preparation.done.connect(self._send_load)
        self._preparation.refused.connect(self._on_refused)
        self._load_next = False  # once the present process has ended
        self._ahead_next = False
        self._closing = False
        self._requests = 0
        self._count = 0  # the request that counts a prompt's tokens
        self._ignores_stop = False
        self._stop_timer = QTimer(self, singleShot=True, interval=STOP_WAIT_MS)
        self._stop_timer.timeout.connect(self._stop_timed_out)

    # Commands

    @property
    def pid(self) -> int:
        """The engine's process id, 0 without one."""
        return self._engine.pid

    @property
    def facts(self) -> EngineFacts | None:
        """What the last engine of the lane's environment found on this machine."""
        return self._engine.facts if self._in_its_environment else None

    @property
    def running(self) -> bool:
        """Whether there is an engine process, or one is being started or ended."""
        return self._engine.running

    @property
    def warming(self) -> bool:
        """Whether an engine that was started ahead is still importing its libraries."""
        return self._engine.running and not self._engine.ready and not self._engine.consumed

    @property
    def work(self) -> str:
        """What the lane does now that could disturb other lanes' times, "" for nothing."""
        return _WORK[Stage.STARTING] if self.warming else _WORK.get(self.state.stage, "")

    def claimed_bytes(self, device: str) -> int:
        """Return the bytes that a load under way is still expected to take on `device`."""
        if self.state.stage is not Stage.LOADING or not self._engine.consumed:
            return 0
        return self._preparation.claimed_bytes(device, self.pid)

    def free_bytes(self, device: str) -> int | None:
        """Return the free bytes on `device`, None where the lane's engine cannot tell."""
        return self._free(device, self.facts)

    def start_ahead(self) -> None:
        """Start an engine, so that it imports its libraries before it is needed."""
        if self._closing or (self._engine.running and self._in_its_environment):
            return
        if self._engine.running:
            self._ahead_next = True
            self._engine.kill()
            return
        try:
            self._engine.start(self.config.engine_environment)
        except PlaygroundError as error:
            log.info("no engine ahead: %s", error)  # a load shows the reason

    def set_config(self, config: LaneConfig) -> None:
        """Set another model, precision, device or environment, and reload what is loaded."""
        if config == self.config:
            return
        self.config = config
        self._preparation.forget_warning()
        self.config_changed.emit(self)
        if self.state.stage is not Stage.EMPTY:
            self.reload()

    def load(self, *, insist: bool = False) -> None:
        """Load the model; with `insist` also after a refusal for lack of memory."""
        if self.state.stage is Stage.UNLOADING:
            self._load_next = True
        if self._closing or self.state.stage not in (Stage.EMPTY, Stage.FAILED):
            return
        if self._engine.running and (self._engine.consumed or not self._in_its_environment):
            # While the old process ends, the lane is unloading and no longer failed.
            self._load_next = True
            self._apply(UnloadRequested())
            self._engine.kill()
            return
        try:
            self._start_engine()
        except PlaygroundError as error:
            self._apply(Refused(no_environment(error)))
            return
        self._apply(LoadRequested(warm=self._engine.ready))
        if self._engine.progress is not None:
            self._apply(self._engine.progress)
        self._preparation.start(self.config, self.facts, insist=insist)

    def reload(self) -> None:
        """Unload the present model and load what the configuration says."""
        if not self._engine.consumed:
            self._preparation.abandon()
            if self.state.stage in (Stage.STARTING, Stage.LOADING):
                self.state = LaneState()
            self.load()
            return
        self._end(gently=False)
        self._load_next = True

    def unload(self) -> None:
        """End the process; the state then tells how much memory was freed."""
        if self.state.stage is Stage.FAILED and not self._engine.running:
            self.state = LaneState()
            self.state_changed.emit(self)
        elif self.state.stage not in (Stage.EMPTY, Stage.UNLOADING):
            self._end(gently=True)

    def cancel(self) -> None:
        """Cancel a load by ending its process, a generation after its current token."""
        match self.state.stage:
            case Stage.STARTING | Stage.LOADING:
                self._end(gently=False)
            case Stage.UNLOADING:
                self._load_next = False
                self._engine.kill()
            case Stage.GENERATING | Stage.READY if self.state.unresponsive:
                self._end(gently=False)
            case Stage.GENERATING if self.generation is not None:
                self._engine.send(Cancel(self.generation.request_id))
                if not self._stop_timer.isActive():
                    self._stop_timer.start()

    def generate(self, prompt: Prompt, options: GenerationOptions, timing: Timing) -> bool:
        """Send a prompt to the loaded model; return False where none is ready."""
        if not self.state.can_generate or self._closing:
            return False
        self._requests += 1
        self._ignores_stop = False
        floor = self.state.loaded.floor if self.state.loaded else None
        self.generation = Generation(self._requests, self.config, prompt, options, timing, floor)
        self._apply(GenerateSent())
        self._engine.send(self.generation.command(time.monotonic()))
        return True

    def count(self, prompt: Prompt) -> bool:
        """Ask for the tokens of a prompt while the lane is idle; `counted` brings them.

        Return False where they cannot be known: no model here is ready.
        """
        loaded = self.state.loaded
        if not self.state.can_generate or self._closing or loaded is None or loaded.server:
            return False
        self._requests += 1
        self._count = self._requests
        self._engine.send(CountTokens(self._count, (prompt,)))
        return True

    def note_commit(self, commit: str) -> None:
        """Take the fingerprint of whole files, which have been hashed since the load."""
        loaded = self.state.loaded
        if loaded is not None:
            request = msgspec.structs.replace(loaded.request, commit=commit)
            known = msgspec.structs.replace(loaded, request=request)
            self.state = replace(self.state, loaded=known)
            self.state_changed.emit(self)

    def shut_down(self) -> None:
        """End the process now and accept no more commands; `wait` waits for it."""
        self._closing = True
        self._load_next = False
        self._preparation.abandon()
        self._stop_timer.stop()
        self._engine.kill()

    def wait(self, timeout_ms: int) -> bool:
        """After `shut_down`, block until the engine and its thread have ended."""
        return self._engine.wait(timeout_ms)

    def drain(self) -> bool:
        """Emit the text of the tokens since the last call; return whether there were any."""
        generation = self.generation
        # Tokens may overtake their Started event, and wait for it.
        if generation is None or not generation.started:
            return False
        batches = self._engine.take_tokens(generation.request_id)
        if not batches:
            return False
        text = generation.take(batches)
        self._apply(batches[-1])
        self.tokens_arrived.emit(batches)
        if text:
            self.text_arrived.emit(text)
        return True

    # Events

    @Slot(object)
    def _on_event(self, event: Event) -> None:
        match event:
            case Ready():
                self.facts_arrived.emit(self)
                self._send_load()
            case Started(request_id=number, prompt_tokens=count):
                if self.generation is not None and self.generation.request_id == number:
                    self.generation.started = True
                    self.generation.prompt_tokens = count
                    self._apply(event)
            case Finished(request_id=number, answer=answer, tail=tail):
                self._on_finished(number, answer, tail)
            case Counted(request_id=number, counts=counts):
                if number == self._count:
                    self.counted.emit(counts[0] if counts else 0)
            case Failed(request_id=number) if number is not None and number == self._count:
                self.counted.emit(0)  # a run says why
            case Failed():
                self._on_command_failed(event)
            case _:
                self._apply(event)

    def _on_finished(self, number: int, answer: Answer, tail: str) -> None:
        generation = self.generation
        if generation is None or generation.request_id != number:
            return
        generation.started = True
        self.drain()
        self._stop_timer.stop()
        self._ignores_stop = False
        if tail:
            self.text_arrived.emit(tail)
        answer = self._with_known_commit(generation.stamped(answer))
        generation.answer, generation.ended = answer, True
        self.state = advance(self.state, Finished(number, answer), time.monotonic())
        self.answered.emit(answer)
        self.state_changed.emit(self)

    def _with_known_commit(self, answer: Answer) -> Answer:
        loaded = self.state.loaded
        if loaded is None or not is_sampled(answer.stamp.commit):
            return answer
        stamp = msgspec.structs.replace(answer.stamp, commit=loaded.request.commit)
        return msgspec.structs.replace(answer, stamp=stamp)

    def _on_command_failed(self, event: Failed) -> None:
        generating = self.state.stage is Stage.GENERATING
        if self.state.stage is Stage.UNLOADING:
            return
        if generating:
            self._break(Failure(event.message, event.remedy, event.detail))
        if event.may_insist:
            self._preparation.note_refusal()
        self._apply(event)
        if self.state.stage is Stage.FAILED:
            self._engine.end()  # an engine loads only once

    @Slot(object)
    def _on_failed(self, failure: Failure) -> None:
        if self.state.stage is Stage.UNLOADING:
            return
        if self.state.stage is Stage.GENERATING:
            self._break(failure)
        self._preparation.abandon()
        self._apply(Refused(failure))

    @Slot(object)
    def _on_ended(self, end: EngineEnd) -> None:
        outcome = end.outcome
        if self.state.stage is Stage.GENERATING:
            self._break(Failure(outcome.text, outcome.remedy, outcome.detail))
        self._preparation.abandon()
        if self.state.stage is not Stage.EMPTY or not outcome.expected:
            self._apply(process_ended(end, self.state, self._engine.environment))
        self.gone.emit(self)
        ahead, self._ahead_next = self._ahead_next, False
        if self._load_next and not self._closing:
            self._load_next = False
            self.load()
        elif ahead:
            self.start_ahead()

    @Slot(object)
    def _on_refused(self, failure: Failure) -> None:
        self._apply(Refused(failure))

    @Slot()
    def _stop_timed_out(self) -> None:
        if self.state.stage is Stage.GENERATING:
            self._ignores_stop = True
            self._show_reaction()

    @Slot()
    def _show_reaction(self) -> None:
        """Show whether the engine reacts."""
        unresponsive = self._engine.silent or self._ignores_stop
        if unresponsive != self.state.unresponsive:
            self.state = replace(self.state, unresponsive=unresponsive)
            self.state_changed.emit(self)

    # Helpers

    @property
    def _in_its_environment(self) -> bool:
        return self._engine.environment == self.config.engine_environment

    def _start_engine(self) -> None:
        """Take the standby engine of the lane's environment, or start a new one.

        Raises PlaygroundError where the environment is gone.
        """
        environment = self.config.engine_environment
        standby = None if self._engine.running else self._take_standby(environment)
        if standby is None:
            self._engine.start(environment)
            return
        if standby.facts is None and self._in_its_environment:
            standby.facts = self._engine.facts
        self._engine.deleteLater()
        standby.setParent(self)
        self._engine = self._listen_to(standby)
        if standby.ready:
            self.facts_arrived.emit(self)

    def _listen_to(self, engine: EngineSlot) -> EngineSlot:
        engine.received.connect(self._on_event)
        engine.failed.connect(self._on_failed)
        engine.reacting.connect(self._show_reaction)
        engine.ended.connect(self._on_ended)
        return engine

    @Slot()
    def _send_load(self) -> None:
        """Send the load once the model has been found and the engine is ready."""
        found = self._preparation.found
        waiting = self.state.stage in (Stage.STARTING, Stage.LOADING)
        if not waiting or found is None or not self._engine.ready or self._engine.consumed:
            return
        failure = self._preparation.memory_failure(self.config.device, self.facts, self.pid)
        if failure is not None:
            self._preparation.found = None
            self._apply(Refused(failure))
        else:
            self._engine.load(found.request)

    def _end(self, *, gently: bool) -> None:
        """End the process, whatever it is doing."""
        self._load_next = False
        self._preparation.abandon()
        if self.state.stage is Stage.GENERATING:
            self.drain()
            self._break(Failure("The generation was ended with its process."))
        self._apply(UnloadRequested())
        if not self._engine.running:
            self._apply(ProcessEnded(expected=True, outcome=""))
        elif gently:
            self._engine.end()
        else:
            self._engine.kill()

    def _break(self, failure: Failure) -> None:
        """End the generation without an answer; the text so far is kept."""
        self.drain()
        if self.generation is not None:
            self.generation.ended = True
        self._stop_timer.stop()
        self._ignores_stop = False
        self.broken.emit(failure)

    def _apply(self, event: LaneEvent) -> None:
        state = advance(self.state, event, time.monotonic())
        state = replace(state, unresponsive=self._engine.silent or self._ignores_stop)
        if state != self.state:
            self.state = state
            self.state_changed.emit(self)
