"""Makes one quantized copy at a time in an engine of its own: measured first, told by layer."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.core.facts import EngineFacts, ModelSpec
from playground.core.lane import Failure
from playground.core.protocol import (
    Cancel,
    Estimated,
    Event,
    Failed,
    MeasureQuantizing,
    Progress,
    Quantize,
    Quantized,
    Quantizing,
    Ready,
)
from playground.core.quantize import QuantizeRequest
from playground.core.quantizing.plan import (
    check_request,
    default_output,
    remove_partial,
    rough_estimate,
)
from playground.gui.engines.engine_slot import EngineFactory, LaneEngine
from playground.gui.engines.worker import EngineEnd
from playground.gui.quantize.state import QuantizeStage, QuantizeState
from playground.gui.toolkit.background import Background, Task
from playground.hub.local.quantize_source import Found, look

#: How long an engine may take to heed a cancel before it is killed.
CANCEL_WAIT_MS = 3000
#: Options are measured when they have not changed for so long.
SETTLE_MS = 700


class QuantizeController(QObject):
    """Knows no view: `state` is what one shows, `request` what its options are."""

    changed = Signal()
    made = Signal(object)  # a QuantizedModel

    def __init__(
        self, make_engine: EngineFactory, background: Background, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.state = QuantizeState()
        self.request: QuantizeRequest | None = None
        self._background = background
        self._engine = LaneEngine(make_engine, self)
        self._engine.received.connect(self._on_event)
        self._engine.failed.connect(self._on_engine_failed)
        self._engine.ended.connect(self._on_ended)
        self._device = "cpu"
        self._looking: Task | None = None
        self._checking: Task | None = None
        self._requests = 0
        self._measuring = 0  # the request under way that only measures
        self._making = 0  # the one that writes
        self._waiting = False  # to start as soon as there is an engine
        self._awaited = False  # or to measure then
        #: Where a copy is being written, and by which process: for when it is killed.
        self._partial: tuple[Path, int] | None = None
        self._closing = False
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._check)
        self._unresponsive = QTimer(self, singleShot=True, interval=CANCEL_WAIT_MS)
        self._unresponsive.timeout.connect(self._engine.kill)

    @property
    def pid(self) -> int:
        """The engine's process id, 0 without one."""
        return self._engine.pid

    # Wishes

    def open(self, spec: ModelSpec, device: str) -> None:
        """Look at a model; what runs goes on and is shown instead."""
        if self.state.running or self._closing:
            return
        self._settle.stop()
        self._stop_measuring()
        self.request = None
        self._set(QuantizeState(doing="looking at the model", since=time.monotonic()))
        self._looking = self._background.start(partial(look, spec), self._looked, self._look_failed)
        self._device = device
        self._engine.start()  # it imports its libraries meanwhile

    def change(self, **options: object) -> None:
        """Take other options; a name that was not given follows them."""
        if self.request is None or self.state.running:
            return
        named = self.request.output != str(default_output(self.request))
        request = msgspec.structs.replace(self.request, **options)
        if not named and "output" not in options:
            request = msgspec.structs.replace(request, output=str(default_output(request)))
        if request == self.request:
            return
        self.request = request
        self._consider()

    def start(self) -> None:
        """Write the copy."""
        if self.request is None or not self.state.can_start or self._closing:
            return
        self._settle.stop()
        self._stop_measuring()
        self._set(
            replace(
                self.state,
                stage=QuantizeStage.RUNNING,
                doing="starting",
                fraction=None,
                since=time.monotonic(),
                layer=None,
                stopping=False,
                failure=None,
                note="",
                made=None,
            )
        )
        self._waiting = True
        self._engine.start()
        self._begin()

    def cancel(self) -> None:
        """Stop what is being written; nothing of it stays."""
        if not self.state.running or self.state.stopping:
            return
        self._set(replace(self.state, stopping=True))
        self._waiting = False
        if self._making:
            self._engine.send(Cancel(self._making))
            self._unresponsive.start()
        else:
            self._finish(note=_CANCELLED)

    def close(self) -> None:
        """End the engine: nobody looks any more. What was being written is removed."""
        self._settle.stop()
        for task in (self._looking, self._checking):
            if task is not None:
                task.abandon()
        if self.state.running:
            self._finish(note=_CANCELLED)
        self._waiting = self._awaited = False
        self._engine.kill()

    def shut_down(self) -> None:
        """End for good; returns at once."""
        self._closing = True
        self.close()

    def wait(self, timeout_ms: int) -> bool:
        """After `shut_down`: block until the engine is gone, and nothing of its work is left."""
        gone = self._engine.wait(timeout_ms)
        if gone and self._partial is not None:
            remove_partial(*self._partial)
        return gone

    # What comes back

    @Slot(object)
    def _looked(self, found: Found) -> None:
        self._looking = None
        request = QuantizeRequest(
            name=found.name,
            folder=found.folder,
            commit=found.commit,
            output="",
            device=self._device,
        )
        self.request = msgspec.structs.replace(request, output=str(default_output(request)))
        self.state = replace(
            self.state, stage=QuantizeStage.CHOOSING, checkpoint=found.checkpoint, doing=""
        )
        if self._engine.facts is not None:
            self._note_memory(self._engine.facts)
        self._consider()

    @Slot(object)
    def _look_failed(self, error: PlaygroundError) -> None:
        self._looking = None
        self._set(replace(self.state, doing="", failure=_failure(error)))

    @Slot()
    def _check(self) -> None:
        if self.request is not None and self.state.can_start:
            self._checking = self._background.start(
                partial(check_request, self.request), self._checked, self._check_failed
            )

    @Slot(object)
    def _checked(self, _: object) -> None:
        self._checking = None
        self._measure()

    @Slot(object)
    def _check_failed(self, error: PlaygroundError) -> None:
        self._checking = None
        self._set(replace(self.state, failure=_failure(error)))

    @Slot(object)
    def _on_event(self, event: Event) -> None:
        match event:
            case Ready(facts=facts):
                self._note_memory(facts)
                self._awaited = False
                if self._waiting:
                    self._begin()
                elif not self._settle.isActive() and self._checking is None:
                    self._measure()
            case Progress() if self._making or self._measuring:
                doing = event.activity.label
                same = self.state.doing == doing
                self._set(
                    replace(
                        self.state,
                        doing=doing,
                        fraction=event.fraction,
                        since=self.state.since if same else time.monotonic(),
                    )
                )
            case Quantizing(request_id=id_, progress=layer) if id_ == self._making:
                self._set(replace(self.state, layer=layer, fraction=layer.fraction))
            case Estimated(request_id=id_, estimate=estimate) if id_ == self._measuring:
                self._measuring = 0
                told = estimate or self.state.estimate
                done = estimate is not None
                self._set(replace(self.state, doing="", estimate=told, measured=done))
            case Quantized(request_id=id_, model=model) if id_ == self._making:
                self._partial = None
                if model is None:
                    self._finish(note=_CANCELLED)
                else:
                    self._finish()
                    stage = QuantizeStage.DONE
                    self._set(replace(self.state, stage=stage, made=model, fraction=1.0))
                    self.made.emit(model)
            case Failed():
                self._on_failed(event)

    def _on_failed(self, event: Failed) -> None:
        if event.request_id not in (None, self._making, self._measuring):
            return
        failure = Failure(event.message, event.remedy, event.detail)
        if self.state.running and event.request_id != self._measuring:
            self._finish(failure)
        else:
            self._measuring = 0
            self._set(replace(self.state, doing="", failure=failure))

    @Slot(object)
    def _on_engine_failed(self, failure: Failure) -> None:
        if self.state.running and not self.state.stopping:
            self._finish(failure)

    @Slot(object)
    def _on_ended(self, end: EngineEnd) -> None:
        self._unresponsive.stop()
        self._measuring = 0
        if self._partial is not None:
            self._background.start(partial(remove_partial, *self._partial))
            self._partial = None
        if end.outcome.expected and (self._waiting or self._awaited):
            self._engine.start()  # the one before was still on its way out
        elif self.state.running:
            outcome = end.outcome
            if self.state.stopping:
                self._finish(note=_CANCELLED)
            else:
                self._finish(Failure(outcome.text, outcome.remedy, outcome.detail))
        elif self.state.doing and self.state.stage is QuantizeStage.CHOOSING:
            self._set(replace(self.state, doing=""))

    # Inside

    @property
    def _usable(self) -> bool:
        """Whether there is an engine that takes work; one on its way out takes none."""
        return self._engine.ready and not self._engine.consumed

    def _consider(self) -> None:
        """Show what the options cost by arithmetic, and measure when they have settled."""
        request, checkpoint = self.request, self.state.checkpoint
        if request is None or checkpoint is None:
            return
        self._stop_measuring()
        if self._checking is not None:
            self._checking.abandon()
            self._checking = None
        stage = QuantizeStage.CHOOSING
        estimate = rough_estimate(request, checkpoint)
        self._set(
            replace(
                self.state,
                stage=stage,
                doing="",
                fraction=None,
                layer=None,
                estimate=estimate,
                measured=False,
                failure=None,
                note="",
                made=None,
            )
        )
        self._settle.start()

    def _measure(self) -> None:
        if self.request is None or not self.state.can_start or self._measuring:
            return
        if self.state.stage is QuantizeStage.DONE or self.state.measured:
            return
        self._engine.start()
        self._awaited = not self._usable
        if self._awaited:
            self._set(replace(self.state, doing="starting the engine", since=time.monotonic()))
            return
        self._requests += 1
        self._measuring = self._requests
        self._engine.send(MeasureQuantizing(self._measuring, self.request))
        self._set(replace(self.state, doing="measuring one layer", since=time.monotonic()))

    def _stop_measuring(self) -> None:
        if self._measuring:
            self._engine.send(Cancel(self._measuring))
            self._measuring = 0

    def _begin(self) -> None:
        if self.request is None or not self._usable:
            return
        self._waiting = False
        self._requests += 1
        self._making = self._requests
        self._partial = Path(self.request.output), self._engine.pid
        self._engine.send(Quantize(self._making, self.request))

    def _finish(self, failure: Failure | None = None, note: str = "") -> None:
        self._unresponsive.stop()
        self._making = 0
        self._waiting = False
        self._set(
            replace(
                self.state,
                stage=QuantizeStage.CHOOSING,
                doing="",
                fraction=None,
                layer=None,
                stopping=False,
                failure=failure,
                note=note,
            )
        )

    def _note_memory(self, facts: EngineFacts) -> None:
        device = self.request.device if self.request is not None else self._device
        free = next((d.free_bytes for d in facts.devices if d.id == device), 0)
        self._set(replace(self.state, free_bytes=free))

    def _set(self, state: QuantizeState) -> None:
        self.state = state
        self.changed.emit()


_CANCELLED = "Cancelled. Nothing was left behind."


def _failure(error: PlaygroundError) -> Failure:
    return Failure(error.message, error.remedy, error.detail)
