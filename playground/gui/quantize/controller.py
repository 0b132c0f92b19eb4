"""Makes a quantized copy in a separate engine, after measuring what it takes."""

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
from playground.core.quantizing.plan import (
    check_request,
    default_output,
    remove_partial,
    rough_estimate,
)
from playground.core.quantizing.request import QuantizeRequest
from playground.gui.engines.engine_slot import EngineFactory, EngineSlot
from playground.gui.engines.worker import EngineEnd
from playground.gui.quantize.state import QuantizeStage, QuantizeState
from playground.gui.toolkit.background import Background, Task
from playground.hub.local.prepare import QuantizeSource, quantize_source

#: An engine that has not stopped this long after a cancel is killed.
CANCEL_WAIT_MS = 3000
#: Options are measured when they have not changed for this long.
SETTLE_MS = 700
_CANCELLED = "Cancelled. Nothing was left behind."


class QuantizeController(QObject):
    """Makes one copy at a time. `state` is what a view shows, `request` holds the options."""

    changed = Signal()
    finished = Signal(object)  # the QuantizedModel that was written

    def __init__(
        self, make_engine: EngineFactory, background: Background, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.state = QuantizeState()
        self.request: QuantizeRequest | None = None
        self._background = background
        self._engine = EngineSlot(make_engine, self)
        self._engine.received.connect(self._on_event)
        self._engine.failed.connect(self._on_engine_failed)
        self._engine.ended.connect(self._on_ended)
        self._engine.reacting.connect(self._on_reacting)
        self._device = "cpu"
        self._looking: Task | None = None
        self._checking: Task | None = None
        self._requests = 0
        self._measuring = 0  # id of the request that measures, 0: none
        self._writing = 0  # id of the request that writes the copy, 0: none
        self._start_when_ready = self._measure_when_ready = False
        #: Folder of the unfinished copy, and the process that writes it.
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

    def work(self) -> str:
        """Return what the engine does now that could disturb the lanes' times, "" for nothing."""
        if self.state.running:
            return "a model was quantized"
        return "the cost of quantizing was measured" if self.state.activity and self.pid else ""

    # Requests

    def open(self, spec: ModelSpec, device: str) -> None:
        """Read a model to quantize; does nothing while a copy is being written."""
        if self.state.running or self._closing:
            return
        self._settle.stop()
        self._stop_measuring()
        self.request = None
        self._set(QuantizeState(activity="reading the model", since=time.monotonic()))
        self._looking = self._background.start(
            partial(quantize_source, spec), self._on_source, self._on_source_failure
        )
        self._device = device
        self._engine.start()  # imports its libraries in the meantime

    def change(self, **options: object) -> None:
        """Change options; the folder's name follows them, unless the user has set it."""
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

    @Slot()
    def start(self) -> None:
        """Start writing the copy."""
        if self.request is None or not self.state.can_start or self._closing:
            return
        self._settle.stop()
        self._stop_measuring()
        running = QuantizeStage.RUNNING
        self._set(self.state.at(running, activity="starting", since=time.monotonic()))
        self._start_when_ready = True
        self._engine.start()
        self._begin()

    @Slot()
    def cancel(self) -> None:
        """Cancel the copy; its files are deleted."""
        if not self.state.running or self.state.stopping:
            return
        self._set(replace(self.state, stopping=True))
        self._start_when_ready = False
        if self._writing:
            self._engine.send(Cancel(self._writing))
            self._unresponsive.start()
        else:
            self._finish(note=_CANCELLED)

    def close(self) -> None:
        """End the engine, since the dialog is gone; an unfinished copy is deleted."""
        self._settle.stop()
        for task in (self._looking, self._checking):
            if task is not None:
                task.abandon()
        if self.state.running:
            self._finish(note=_CANCELLED)
        self._start_when_ready = self._measure_when_ready = False
        self.request = None  # an event still under way must not start another engine
        self._engine.kill()

    def shut_down(self) -> None:
        """End for good; return at once."""
        self._closing = True
        self.close()

    def wait(self, timeout_ms: int) -> bool:
        """After `shut_down`: block until the engine has ended, then delete an unfinished copy."""
        gone = self._engine.wait(timeout_ms)
        if gone and self._partial is not None:
            remove_partial(*self._partial)
        return gone

    # Results

    @Slot(object)
    def _on_source(self, source: QuantizeSource) -> None:
        self._looking = None
        request = QuantizeRequest(
            name=source.name,
            folder=source.folder,
            commit=source.commit,
            output="",
            device=self._device,
        )
        self.request = msgspec.structs.replace(request, output=str(default_output(request)))
        self.state = replace(
            self.state, stage=QuantizeStage.CHOOSING, checkpoint=source.checkpoint, activity=""
        )
        if self._engine.facts is not None:
            self._note_memory(self._engine.facts)
        self._consider()

    @Slot(object)
    def _on_source_failure(self, error: PlaygroundError) -> None:
        self._looking = None
        self._set(replace(self.state, activity="", failure=_failure(error)))

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
                self._measure_when_ready = False
                if self._start_when_ready:
                    self._begin()
                elif not self._settle.isActive() and self._checking is None:
                    self._measure()
            case Progress() if self._writing or self._measuring:
                same = self.state.activity == event.activity
                self._set(
                    replace(
                        self.state,
                        activity=str(event.activity),
                        fraction=event.fraction,
                        since=self.state.since if same else time.monotonic(),
                    )
                )
            case Quantizing(request_id=id_, progress=layer) if id_ == self._writing:
                self._set(replace(self.state, layer=layer, fraction=layer.fraction))
            case Estimated(request_id=id_, estimate=estimate) if id_ == self._measuring:
                self._measuring = 0
                self._set(
                    replace(
                        self.state,
                        activity="",
                        estimate=estimate or self.state.estimate,
                        measured=estimate is not None,
                    )
                )
            case Quantized(request_id=id_, model=model) if id_ == self._writing:
                self._partial = None
                if model is None:
                    self._finish(note=_CANCELLED)
                else:
                    self._finish()
                    stage = QuantizeStage.DONE
                    self._set(replace(self.state, stage=stage, result=model, fraction=1.0))
                    self.finished.emit(model)
            case Failed():
                self._on_failed(event)

    def _on_failed(self, event: Failed) -> None:
        if event.request_id not in (None, self._writing, self._measuring):
            return
        failure = Failure(event.message, event.remedy, event.detail)
        if self.state.running and event.request_id != self._measuring:
            self._finish(failure)
        else:
            self._measuring = 0
            self._set(replace(self.state, activity="", failure=failure))

    @Slot(object)
    def _on_engine_failed(self, failure: Failure) -> None:
        if self.state.running and not self.state.stopping:
            self._finish(failure)

    @Slot(bool)
    def _on_reacting(self, reacts: bool) -> None:
        self._set(replace(self.state, unresponsive=not reacts))

    @Slot(object)
    def _on_ended(self, end: EngineEnd) -> None:
        self._unresponsive.stop()
        self._measuring = 0
        if self._partial is not None:
            self._background.start(partial(remove_partial, *self._partial))
            self._partial = None
        if end.outcome.expected and (self._start_when_ready or self._measure_when_ready):
            self._engine.start()  # the previous engine was still ending
        elif self.state.running:
            if self.state.stopping:
                self._finish(note=_CANCELLED)
            else:
                outcome = end.outcome
                self._finish(Failure(outcome.text, outcome.remedy, outcome.detail))
        elif self.state.activity and self.state.stage is QuantizeStage.CHOOSING:
            self._set(replace(self.state, activity=""))

    # Inside

    @property
    def _usable(self) -> bool:
        """Whether there is an engine that accepts requests; one that is ending accepts none."""
        return self._engine.ready and not self._engine.consumed

    def _consider(self) -> None:
        """Show a calculated estimate for the options; measure it when they stay unchanged."""
        request, checkpoint = self.request, self.state.checkpoint
        if request is None or checkpoint is None:
            return
        self._stop_measuring()
        if self._checking is not None:
            self._checking.abandon()
            self._checking = None
        choosing = self.state.at(QuantizeStage.CHOOSING)
        estimate = rough_estimate(request, checkpoint)
        self._set(replace(choosing, estimate=estimate, measured=False))
        self._settle.start()

    def _measure(self) -> None:
        if self.request is None or not self.state.can_start or self._measuring:
            return
        if self.state.stage is QuantizeStage.DONE or self.state.measured:
            return
        self._engine.start()
        self._measure_when_ready = not self._usable
        if self._measure_when_ready:
            self._set(replace(self.state, activity="starting the engine", since=time.monotonic()))
            return
        self._requests += 1
        self._measuring = self._requests
        self._engine.send(MeasureQuantizing(self._measuring, self.request))
        self._set(replace(self.state, activity="measuring one layer", since=time.monotonic()))

    def _stop_measuring(self) -> None:
        if self._measuring:
            self._engine.send(Cancel(self._measuring))
            self._measuring = 0

    def _begin(self) -> None:
        if self.request is None or not self._usable:
            return
        self._start_when_ready = False
        self._requests += 1
        self._writing = self._requests
        self._partial = Path(self.request.output), self._engine.pid
        self._engine.send(Quantize(self._writing, self.request))

    def _finish(self, failure: Failure | None = None, note: str = "") -> None:
        self._unresponsive.stop()
        self._writing = 0
        self._start_when_ready = False
        self._set(self.state.at(QuantizeStage.CHOOSING, failure=failure, note=note))

    def _note_memory(self, facts: EngineFacts) -> None:
        device = self.request.device if self.request is not None else self._device
        free = next((d.free_bytes for d in facts.devices if d.id == device), 0)
        self._set(replace(self.state, free_bytes=free))

    def _set(self, state: QuantizeState) -> None:
        self.state = state
        self.changed.emit()


def _failure(error: PlaygroundError) -> Failure:
    return Failure(error.message, error.remedy, error.detail)
