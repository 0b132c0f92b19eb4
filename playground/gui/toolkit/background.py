"""Runs short blocking work (disk, network, imports) on threads and delivers results as signals."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal, Slot

from playground.core.errors import PlaygroundError

log = logging.getLogger(__name__)


class Task(QObject):
    """One piece of work. Emits `done` or `failed` once, unless it is abandoned."""

    done = Signal(object)  # what the work returned
    failed = Signal(object)  # a PlaygroundError
    over = Signal()  # always, and last
    _returned = Signal(object, object)  # result and error, from the task's thread

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self._work = work
        self._abandoned = False
        self.is_over = False  # the GUI thread has handled the end
        self._returned.connect(self._deliver)

    def abandon(self) -> None:
        """Deliver no result; the work itself runs to its end."""
        self._abandoned = True

    def run(self) -> None:
        """Do the work. Called on the task's thread."""
        try:
            result, error = self._work(), None
        except PlaygroundError as known:
            result, error = None, known
        except Exception as unknown:  # a bug reaches the user as a message, too
            log.exception("background work failed")
            text = str(unknown) or type(unknown).__name__
            result, error = None, PlaygroundError(f"Something went wrong: {text}")
        self._returned.emit(result, error)

    @Slot(object, object)
    def _deliver(self, result: object, error: PlaygroundError | None) -> None:
        # On the GUI thread again; the task may have been abandoned in the meantime.
        if not self._abandoned:
            if error is None:
                self.done.emit(result)
            else:
                self.failed.emit(error)
        self.is_over = True
        self.over.emit()


class Background(QObject):
    """Starts tasks, each on a daemon thread, and keeps them alive until they are over."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks: dict[Task, threading.Thread] = {}

    def start(
        self,
        work: Callable[[], object],
        done: Callable[..., None] | None = None,
        failed: Callable[..., None] | None = None,
    ) -> Task:
        """Run `work` on a new thread.

        `done` receives its result, `failed` its PlaygroundError. Both must be methods of
        QObjects, so that Qt calls them on the thread of their object.
        """
        self._sweep()
        task = Task(work)
        if done is not None:
            task.done.connect(done)
        if failed is not None:
            task.failed.connect(failed)
        task.over.connect(self._sweep)
        thread = threading.Thread(target=task.run, name="background", daemon=True)
        self._tasks[task] = thread
        thread.start()
        return task

    def close(self, timeout_s: float = 1.0) -> bool:
        """Abandon all tasks and wait up to `timeout_s` for them; False where one still runs."""
        end = time.monotonic() + timeout_s
        for task in self._tasks:
            task.abandon()
        for thread in self._tasks.values():
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._tasks.values())

    @Slot()
    def _sweep(self) -> None:
        # A thread may end before its result is delivered, and may still be running its last line
        # afterwards: a task is dropped when both are over.
        self._tasks = {
            task: thread
            for task, thread in self._tasks.items()
            if thread.is_alive() or not task.is_over
        }
