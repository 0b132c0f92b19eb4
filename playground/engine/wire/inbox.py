"""Reads the client's commands on a thread, so that a cancel or a quit takes effect at once."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from playground.core.errors import ProtocolError
from playground.core.protocol import Cancel, Command, Load, Quit, Work, command_decoder

_READ_SIZE = 1 << 16


def leave(code: int, line: str = "") -> NoReturn:
    """End the process now, whatever its other threads are doing; `line` goes to stderr."""
    if line:
        os.write(2, f"{line}\n".encode())
    os._exit(code)


class Inbox:
    """Queues work, marks cancelled requests, and ends the process at Quit or the input's end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._commands: queue.SimpleQueue[Work] = queue.SimpleQueue()
        #: Whether each unfinished request was cancelled.
        self._requests: dict[int, bool] = {}
        self._lock = threading.Lock()
        #: Called before the process ends in the middle of its work, to remove incomplete files.
        self.at_end: Callable[[], None] = lambda: None
        #: Called with the number of a cancelled request, on the reading thread.
        self.on_cancel: Callable[[int], None] = lambda _: None

    def start(self) -> None:
        """Start the reading thread."""
        threading.Thread(target=self._read, name="inbox", daemon=True).start()

    def next(self) -> Work:
        """Wait for the next command and return it."""
        return self._commands.get()

    @property
    def is_empty(self) -> bool:
        """Whether no command is queued."""
        return self._commands.empty()

    def is_cancelled(self, request_id: int) -> bool:
        """Return whether the request was cancelled; cheap enough for a call at every layer."""
        return self._requests.get(request_id, False)

    def finish(self, request_id: int) -> None:
        """Forget a request: a later Cancel for it has no effect."""
        with self._lock:
            self._requests.pop(request_id, None)

    def _read(self) -> None:
        decoder = command_decoder()
        try:
            while data := os.read(self._descriptor, _READ_SIZE):
                for command in decoder.feed(data):
                    self._take(command)
        except ProtocolError as error:
            leave(2, f"engine: the input is no command of this protocol: {error.detail}")
        except OSError as error:
            leave(2, f"engine: the input cannot be read: {error}")
        except BaseException as error:
            # Without this thread nothing would notice that the client is gone.
            sys.excepthook(type(error), error, error.__traceback__)
            leave(2, "engine: reading commands failed")
        self._end()

    def _take(self, command: Command) -> None:
        match command:
            case Quit():
                self._end()
            case Cancel(request_id=request_id):
                with self._lock:
                    if request_id in self._requests:
                        self._requests[request_id] = True
                self.on_cancel(request_id)
            case Load():
                self._commands.put(command)
            case _:
                with self._lock:
                    self._requests[command.request_id] = False
                self._commands.put(command)

    def _end(self) -> NoReturn:
        try:
            self.at_end()
        finally:
            leave(0)
