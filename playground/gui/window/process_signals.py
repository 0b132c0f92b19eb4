"""Ctrl+C and SIGTERM as a signal of Qt's, and defects as messages instead of an end."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from types import FrameType, TracebackType

from PySide6.QtCore import QObject, QSocketNotifier, Signal, Slot

log = logging.getLogger(__name__)


class TerminationSignals(QObject):
    """Emits `asked` when the process is asked to end. For the main thread; undo with `restore`.

    Python runs its handlers only between two of its own instructions, which an idle event
    loop never executes: the wake-up socket brings the loop to life.
    """

    asked = Signal()

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
        """Give the handlers back as they were."""
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
            self.asked.emit()


class UncaughtErrors(QObject):
    """Takes exceptions that nobody caught: they go to the log and become one message."""

    message = Signal(str, str, str)  # text, level, remedy

    def __init__(self, log_file: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._log_file = log_file

    def install(self) -> None:
        sys.excepthook = self._caught

    def _caught(
        self,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType | None,
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return  # TerminationSignals closes the window
        log.critical("nobody caught this", exc_info=(kind, error, trace))
        self.message.emit(
            f"Something went wrong inside the playground ({kind.__name__}: {error}).",
            "error",
            f"You can go on; please report it with the file {self._log_file}.",
        )


_NUMBERS = (signal.SIGINT, signal.SIGTERM)


def _note(_: int, __: FrameType | None) -> None:
    """The wake-up socket has told it already; a handler must be there so that it is told."""
