"""The one engine process that a lane has at a time, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from playground.client.engine import Engine
from playground.core.environments import OWN
from playground.core.facts import EngineFacts, LoadRequest
from playground.core.protocol import Command, Event, Load, Progress, Ready, Tokens
from playground.gui.engines.worker import EngineEnd, EngineWorker

#: How often (ms) a process's signs of life are looked for, and how many looks may find none. An
#: engine gives one a second.
LOOK_MS = 1000
MOST_SILENT = 5
#: Makes an engine in the environment of this name; raises PlaygroundError where it is missing.
EngineFactory = Callable[[str], Engine]


class EngineSlot(QObject):
    """Runs engines one after the other; `facts` are those of the last one that was ready."""

    received = Signal(object)  # every Event but Tokens
    failed = Signal(object)  # a Failure
    reacting = Signal(bool)  # it gives no sign of life, or does so again
    ended = Signal(object, object)  # an EngineEnd, and this slot, which can start a new engine

    def __init__(self, make: EngineFactory, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.facts: EngineFacts | None = None
        self.environment = OWN  # of the process, and of the facts
        self.ready = False  # it accepts a load
        self.consumed = False  # it has accepted one, or is ending
        self.progress: Progress | None = None
        self._make = make
        self._worker: EngineWorker | None = None
        self._last_tokens: list[Tokens] = []  # of the engine that ended last
        self._pulse: object = None
        self._silent = 0  # looks in a row that found no sign of life
        self._look = QTimer(self, interval=LOOK_MS)
        self._look.timeout.connect(self._look_for_life)

    @property
    def running(self) -> bool:
        return self._worker is not None

    @property
    def silent(self) -> bool:
        """Whether the process has given no sign of life for five seconds."""
        return self._silent >= MOST_SILENT

    @property
    def alive(self) -> bool:
        """Whether the process runs, and has not been asked to end."""
        return self._worker is not None and not self.consumed and not self._worker.process.ended

    @property
    def pid(self) -> int:
        """The process's id, 0 without one."""
        return self._worker.process.pid if self._worker else 0

    def start(self, environment: str = OWN) -> None:
        """Start a process unless one runs. Raises PlaygroundError as the factory does."""
        if self._worker is not None:
            return
        worker = EngineWorker(self._make(environment))
        self.ready = self.consumed = False
        self.progress = None
        if environment != self.environment:
            self.environment, self.facts = environment, None
        worker.received.connect(self._on_received)
        worker.failed.connect(self._on_failed)
        worker.ended.connect(self._on_ended)
        self._worker = worker
        self._pulse, self._silent = None, 0
        worker.launch()
        self._look.start()

    def load(self, request: LoadRequest) -> None:
        """Send the load; a process loads only once."""
        self.consumed = True
        self.send(Load(request))

    def send(self, command: Command) -> None:
        if self._worker is not None:
            self._worker.send(command)

    def take_tokens(self, request_id: int) -> list[Tokens]:
        """Return the request's batches since the last call."""
        taken, self._last_tokens = self._last_tokens, []
        if self._worker is not None:
            taken += self._worker.take_tokens()
        return [batch for batch in taken if batch.request_id == request_id]

    def end(self) -> None:
        """Measure the memory and end the process gently; returns at once."""
        self.consumed = True
        if self._worker is not None:
            self._worker.end()

    def kill(self) -> None:
        """End the process now; returns at once."""
        self.consumed = True
        if self._worker is not None:
            self._worker.kill()

    def wait(self, timeout_ms: int) -> bool:
        """After `end` or `kill`, block until process and thread have ended."""
        return self._worker is None or self._worker.wait(timeout_ms)

    @Slot(object)
    def _on_received(self, event: Event) -> None:
        if isinstance(event, Ready):
            self.ready = True
            self.progress = None  # the imports have finished
            self.facts = event.facts
        elif isinstance(event, Progress):
            self.progress = event
        self.received.emit(event)

    @Slot()
    def _look_for_life(self) -> None:
        """Count the looks without a sign of life: no clock, so that a suspended machine is none."""
        if self._worker is None:
            return
        pulse, before = self._worker.process.pulse(), self._silent
        self._silent = before + 1 if pulse == self._pulse else 0
        self._pulse = pulse
        if self.silent and before == MOST_SILENT - 1:
            self.reacting.emit(False)
        elif not self.silent and before >= MOST_SILENT:
            self.reacting.emit(True)

    @Slot(object)
    def _on_failed(self, failure: object) -> None:
        self.consumed = True
        self.failed.emit(failure)

    @Slot(object)
    def _on_ended(self, end: EngineEnd) -> None:
        worker, self._worker = self._worker, None
        self.ready = self.consumed = False
        self.progress = None
        self._look.stop()
        self._silent = 0
        self._last_tokens = worker.take_tokens() if worker is not None else []
        self.ended.emit(end, self)
        if worker is not None:
            worker.wait(5000)  # the thread emits `ended` just before it returns
            worker.deleteLater()
