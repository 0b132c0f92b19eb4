"""Short work off the GUI thread (disk, imports), its result delivered as a signal."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal, Slot

from playground.core.errors import PlaygroundError

log = logging.getLogger(__name__)


class Task(QObject):
    """One piece of work. `done` or `failed` comes once, unless it was abandoned."""

    done = Signal(object)  # what the work returned
    failed = Signal(object)  # a PlaygroundError
    over = Signal()  # always, and last
    _came = Signal(object, object)

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self._work = work
        self._wanted = True
        self.is_over = False  # the GUI thread has seen the end
        self._came.connect(self._deliver)

    def abandon(self) -> None:
        """Deliver nothing any more; the work itself goes on to its end."""
        self._wanted = False

    def run(self) -> None:
        """Do the work; for the task's own thread."""
        try:
            result, error = self._work(), None
        except PlaygroundError as known:
            result, error = None, known
        except Exception as unknown:  # a defect must reach the user as a sentence too
            log.exception("background work failed")
            text = str(unknown) or type(unknown).__name__
            result, error = None, PlaygroundError(f"Something went wrong: {text}")
        self._came.emit(result, error)

    @Slot(object, object)
    def _deliver(self, result: object, error: PlaygroundError | None) -> None:
        # Back on the GUI thread: what was abandoned meanwhile is not delivered either.
        if self._wanted:
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
        """Run `work`. `done` and `failed` must be methods of QObjects: they run on its thread."""
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
        """Abandon all tasks and wait for them together; False where one still runs."""
        end = time.monotonic() + timeout_s
        for task in self._tasks:
            task.abandon()
        for thread in self._tasks.values():
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._tasks.values())

    @Slot()
    def _sweep(self) -> None:
        # A thread may end before its result was delivered, and a task that has delivered may
        # still be in its thread's last line: it goes when both are over.
        self._tasks = {
            task: thread
            for task, thread in self._tasks.items()
            if thread.is_alive() or not task.is_over
        }
