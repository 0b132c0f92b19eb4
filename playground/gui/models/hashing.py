"""Hashes the whole files of loaded folders, while no lane is busy."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Slot

from playground.core.errors import PlaygroundError
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.toolkit.background import Background, Task
from playground.hub.local.fingerprint import is_sampled, whole_of

log = logging.getLogger(__name__)

_LOWEST_PRIORITY = 19


class _ClosedError(Exception):
    """The window closes; what is hashed so far is remembered."""


class FolderHashing(QObject):
    """Turns the sampled fingerprints of loaded models into whole ones, one folder at a time."""

    def __init__(
        self, background: Background, lanes: LanesController, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._background = background
        self._lanes = lanes
        self._task: Task | None = None
        self._current = ""  # the fingerprint that is being replaced
        self._tried: set[str] = set()
        self._idle = threading.Event()  # no lane is busy: a measurement would be disturbed
        self._closed = False
        lanes.added.connect(self._watch)

    @Slot()
    def close(self) -> None:
        """Stop at the next piece."""
        self._closed = True
        self._idle.set()

    @Slot(object)
    def _watch(self, presenter: LanePresenter) -> None:
        presenter.lane.state_changed.connect(self._update)

    @Slot()
    def _update(self) -> None:
        if any(lane.state.busy for lane in self._lanes.lanes) and not self._closed:
            self._idle.clear()
        else:
            self._idle.set()
        self._start_next()

    def _start_next(self) -> None:
        sampled = self._sampled()
        if self._task is not None or self._closed or not sampled:
            return
        self._current, lane = next(iter(sampled.items()))
        self._tried.add(self._current)
        loaded = lane.state.loaded
        folder = Path(loaded.request.folder) if loaded is not None else Path()
        work = partial(self._hash, folder, self._current)
        self._task = self._background.start(work, self._on_hashed, self._on_failure)

    def _sampled(self) -> dict[str, LaneController]:
        """Return the lanes whose models are still to be hashed, by their fingerprints."""
        found = {}
        for lane in self._lanes.lanes:
            loaded = lane.state.loaded
            commit = loaded.request.commit if loaded is not None else ""
            if is_sampled(commit) and commit not in self._tried:
                found[commit] = lane
        return found

    def _hash(self, folder: Path, sampled: str) -> str:
        """Hash a folder. Runs on a thread of its own, which Linux lets have its own priority."""
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
        try:
            return whole_of(folder, sampled, self._pause)
        except _ClosedError:
            return ""

    def _pause(self, _bytes: int) -> None:
        self._idle.wait()
        if self._closed:
            raise _ClosedError

    @Slot(object)
    def _on_hashed(self, whole: str) -> None:
        sampled, self._task = self._current, None
        for lane in self._lanes.lanes:
            loaded = lane.state.loaded
            if whole and loaded is not None and loaded.request.commit == sampled:
                lane.note_commit(whole)
        self._start_next()

    @Slot(object)
    def _on_failure(self, error: PlaygroundError) -> None:
        log.warning("A folder was not hashed: %s", error)
        self._task = None
        self._start_next()
