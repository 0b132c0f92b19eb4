"""Turns Ctrl+C and SIGTERM into a Qt signal, and uncaught exceptions into messages."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from types import FrameType, TracebackType

from PySide6.QtCore import QObject, QSocketNotifier, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.gui.toolkit.notify import Notify

log = logging.getLogger(__name__)


class TerminationSignals(QObject):
    """Emits `received` for SIGINT and SIGTERM until `restore`. Create it on the main thread.

    Python runs signal handlers only between two of its instructions, and an idle event loop
    executes none: the wake-up socket makes the loop run.
    """

    received = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._reading, self._writing = socket.socketpair()
        self._writing.setblocking(False)
        self._reading.setblocking(False)
        self._old_fd = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, _note) for number in _NUMBERS}
        self._notifier = QSocketNotifier(self._reading.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._woken)

    def restore(self) -> None:
        """Reinstate the handlers that were installed before."""
        self._notifier.setEnabled(False)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        self._reading.close()
        self._writing.close()

    @Slot()
    def _woken(self) -> None:
        numbers = self._reading.recv(64)
        if any(number in _NUMBERS for number in numbers):
            self.received.emit()


class UncaughtErrors:
    """Logs uncaught exceptions and reports each as a message."""

    def __init__(self, notify: Notify, log_file: str) -> None:
        self._notify = notify
        self._log_file = log_file

    def install(self) -> None:
        """Become the interpreter's exception hook."""
        sys.excepthook = self._caught

    def _caught(
        self,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType | None,
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return  # TerminationSignals closes the window
        log.critical("uncaught exception", exc_info=(kind, error, trace))
        self._notify.error(
            PlaygroundError(
                f"Something went wrong inside the playground ({kind.__name__}: {error}).",
                f"You can continue; please report it with the file {self._log_file}.",
            )
        )


_NUMBERS = (signal.SIGINT, signal.SIGTERM)


def _note(_: int, __: FrameType | None) -> None:
    """Do nothing: a handler must be installed for the wake-up socket to be written."""
