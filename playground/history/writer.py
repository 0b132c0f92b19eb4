"""Writes runs to the history on a thread of its own, as they happen."""

from __future__ import annotations

import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from playground.core.facts import Answer
from playground.core.floor import Floor
from playground.core.generation import Prompt
from playground.core.system.database import DatabaseError, DatabaseProblem
from playground.core.system.processes import is_alive, this_process
from playground.core.token_record import TokenRecord
from playground.history.records import KeptRun, RunRequest, RunState
from playground.history.store import HistoryStore

log = logging.getLogger(__name__)

#: The history's size (bytes) where nothing else is set: the oldest runs leave it.
DEFAULT_LIMIT = 500_000_000
#: How long (s) a deleted run can be brought back.
_UNDO_S = 3600.0
#: What SQLite writes beside the file.
_BESIDE = ("", "-wal", "-shm")
_Operation = Callable[[HistoryStore], None]


class HistoryWriter:
    """The one writer of this process.

    Its methods return at once and never fail. Where the file cannot be written, `failed` is
    called with a DatabaseError, on the writer's thread and once until writing works again; what
    could not be written is lost. A damaged file is set aside as `.bad`, and a new one begun.
    """

    def __init__(
        self,
        path: Path,
        limit_bytes: int = DEFAULT_LIMIT,
        failed: Callable[[DatabaseError], None] = lambda _: None,
    ) -> None:
        self.path = path
        self.limit_bytes = limit_bytes
        self.failed = failed
        self._operations: queue.SimpleQueue[_Operation | threading.Event | None] = (
            queue.SimpleQueue()
        )
        self._store: HistoryStore | None = None
        self._told: DatabaseProblem | None = None
        self._thread = threading.Thread(target=self._write, name="history", daemon=True)
        self._thread.start()

    def begin_run(self, request: RunRequest) -> str:
        """Keep a run that begins; return its key."""
        key, created = uuid.uuid4().hex, time.time()
        self._operations.put(lambda store: self._begin(store, key, request, created))
        return key

    def begin_answer(self, run: str, position: int, repeat: int, prompt: Prompt) -> str:
        """Keep that a lane of a run was sent a prompt; return the answer's key."""
        key = uuid.uuid4().hex
        self._put(lambda store: store.begin_answer(key, run, position, repeat, prompt))
        return key

    def add_tokens(self, answer: str, tokens: TokenRecord) -> None:
        """Keep further tokens of an answer."""
        self._put(lambda store: store.add_tokens(answer, tokens))

    def end_answer(self, key: str, answer: Answer | None, floor: Floor | None = None) -> None:
        """Keep a finished answer and its model's floor, or None for one that broke off."""
        self._put(lambda store: store.end_answer(key, answer, floor))

    def fail_lane(self, run: str, position: int, sentence: str) -> None:
        """Keep why a lane did not answer."""
        self._put(lambda store: store.fail_lane(run, position, sentence))

    def end_run(self, key: str, state: RunState) -> None:
        """Keep how a run ended."""
        self._put(lambda store: store.end_run(key, state))

    def delete(self, ids: tuple[int, ...], *, deleted: bool = True) -> None:
        """Take runs out of the history, or back into it; they go for good an hour later."""
        self._put(lambda store: store.delete(ids, deleted=deleted))

    def add(self, run: KeptRun, done: Callable[[int], None]) -> None:
        """Keep a whole run of another machine; `done` gets its number, on the writer's thread."""
        self._put(lambda store: done(store.add(run)))

    def take_interrupted(self, found: Callable[[int | None], None]) -> None:
        """Call `found` with the newest interrupted run not offered yet, on the writer's thread."""
        self._put(lambda store: found(store.take_interrupted()))

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything said so far is written, or given up; False after `timeout_s`."""
        done = threading.Event()
        self._operations.put(done)
        return done.wait(timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what is left and end the thread; return False where it still runs."""
        self._operations.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # On the writer's thread

    def _put(self, operation: _Operation) -> None:
        self._operations.put(operation)

    def _write(self) -> None:
        ended = False
        while not ended:
            batch, done = [self._operations.get()], list[threading.Event]()
            while not self._operations.empty():
                batch.append(self._operations.get())
            operations = list[_Operation]()
            for item in batch:
                if item is None:
                    ended = True
                elif isinstance(item, threading.Event):
                    done.append(item)
                else:
                    operations.append(item)
            self._carry_out(operations)
            for event in done:
                event.set()
        if self._store is not None:
            self._store.close()

    def _carry_out(self, operations: list[_Operation]) -> None:
        """Write operations in one transaction; begin anew once where the file was damaged."""
        for attempt in range(2):
            try:
                self._commit(operations)
            except DatabaseError as error:
                damaged = error.problem is DatabaseProblem.DAMAGED
                if damaged and attempt == 0 and self._set_aside():
                    self._tell(
                        DatabaseError(
                            error.problem,
                            error.message,
                            f"It was renamed to {self.path.name}.bad, and a new one was begun.",
                            error.detail,
                        )
                    )
                    continue
                self._tell(error)
            return

    def _commit(self, operations: list[_Operation]) -> None:
        if not operations:
            return
        if self._store is None:
            self._store = HistoryStore(self.path)
            with self._store.transaction():
                self._recover(self._store)
        with self._store.transaction():
            for operation in operations:
                operation(self._store)
        self._told = None

    def _begin(self, store: HistoryStore, key: str, request: RunRequest, created: float) -> None:
        store.begin_run(key, request, this_process(), created)
        if gone := store.prune(self.limit_bytes):
            log.info("%d runs left the history, which had reached its size", gone)

    def _recover(self, store: HistoryStore) -> None:
        """End the runs of processes that have ended, and remove what was deleted."""
        for key, owner in store.running().items():
            if not is_alive(owner):
                store.end_run(key, RunState.INTERRUPTED)
        store.purge(time.time() - _UNDO_S)

    def _set_aside(self) -> bool:
        """Rename a damaged file to `.bad`; return whether that worked."""
        if self._store is not None:
            self._store.close()
            self._store = None
        try:
            for ending in _BESIDE:
                file = self.path.with_name(self.path.name + ending)
                if file.exists():
                    file.replace(file.with_name(f"{self.path.name}.bad{ending}"))
        except OSError as error:
            log.warning("%s could not be set aside: %s", self.path, error)
            return False
        return True

    def _tell(self, error: DatabaseError) -> None:
        log.warning("%s (%s)", error, error.detail)
        if self._told is not error.problem:
            self._told = error.problem
            self.failed(error)
