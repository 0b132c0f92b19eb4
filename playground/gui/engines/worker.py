"""Reads one engine process on a QThread and emits its events as signals."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass

from PySide6.QtCore import QObject, QThread, Signal, Slot

from playground.client.engine import Engine
from playground.client.outcome import Outcome
from playground.core.errors import PlaygroundError
from playground.core.lane import Failure
from playground.core.protocol import Command, Tokens

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineEnd:
    """How an engine ended, and its memory (bytes) just before `end`, 0 where not measured."""

    outcome: Outcome
    memory_bytes: int = 0


class EngineWorker(QObject):
    """Starts an engine and emits its events until it has ended.

    `ended` always comes, once and last, after the process has exited. Tokens are not signals:
    they wait in a queue for `take_tokens`, so that their rate does not load the event loop.
    `send`, `end` and `kill` are called on the GUI thread and reach the process directly: a slot
    queued on this worker would wait for a read that may take minutes.
    """

    received = Signal(object)  # every Event but Tokens
    failed = Signal(object)  # a Failure: it could not be started, or sent invalid data
    ended = Signal(object)  # an EngineEnd

    def __init__(self, process: Engine) -> None:
        super().__init__()
        self.process = process
        self._tokens: deque[Tokens] = deque()
        self._thread = QThread()
        self._end_requested = threading.Event()
        self._memory_bytes = 0
        self._ending: threading.Thread | None = None

    def launch(self) -> None:
        """Move to the thread and start there."""
        self._thread.setObjectName("engine worker")
        self.moveToThread(self._thread)
        self._thread.started.connect(self.run)
        self._thread.start()

    def send(self, command: Command) -> None:
        """Send a command to the engine; never blocks."""
        self.process.send(command)

    def take_tokens(self) -> list[Tokens]:
        """Return the batches since the last call, in order."""
        taken = []
        while self._tokens:
            taken.append(self._tokens.popleft())
        return taken

    def end(self) -> None:
        """Measure the process's memory, then end it gently; returns at once."""
        if self._ending is None and not self._end_requested.is_set():
            self._end_requested.set()
            self._ending = threading.Thread(target=self._end, name="engine end", daemon=True)
            self._ending.start()

    def kill(self) -> None:
        """End the process now; returns at once."""
        self._end_requested.set()
        self.process.kill()

    def wait(self, timeout_ms: int) -> bool:
        """After `end`, `kill` or `ended`, wait for the thread; return whether it has ended."""
        return self._thread.wait(timeout_ms)

    @Slot()
    def run(self) -> None:
        """Start the engine and read it to its end. Called on the worker's thread only."""
        try:
            self.process.start()
            if self._end_requested.is_set():
                self.process.kill()  # requested before the process existed
            for event in self.process.events():
                if isinstance(event, Tokens):
                    self._tokens.append(event)
                else:
                    self.received.emit(event)
        except PlaygroundError as error:
            self.failed.emit(Failure(error.message, error.remedy, error.detail))
        except Exception as error:
            log.exception("the engine's worker failed")
            self.failed.emit(Failure("The connection to the engine broke.", detail=repr(error)))
        finally:
            outcome = self.process.close()
            self.ended.emit(EngineEnd(outcome, self._memory_bytes))
            QThread.currentThread().quit()

    def _end(self) -> None:
        self._memory_bytes = self.process.memory_bytes()
        self.process.close()
