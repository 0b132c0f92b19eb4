"""Checks the files of the page's model off the GUI thread, and has damaged ones fetched again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.gui.context import AppContext
from playground.gui.model_page.check_view import FilesCheckBar
from playground.gui.toolkit.background import Task
from playground.hub.catalog import ModelRow, Where
from playground.hub.local.check import FilesCheck, bytes_to_check, check_files, remove_damaged

_REPORT_EVERY_S = 0.1


class _CancelledError(Exception):
    """The user stopped the check, or turned to another page."""


class FilesCheckController(QObject):
    """Drives the bar of one row at a time; a check of an earlier row is stopped."""

    _advanced = Signal(object, float)  # the stop event of a check and how far it is, 0 to 1

    def __init__(
        self, view: FilesCheckBar, context: AppContext, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._view = view
        self._background = context.background
        self._downloads = context.downloads
        self._row: ModelRow | None = None
        self._task: Task | None = None
        self._stop = threading.Event()
        self._found: FilesCheck | None = None
        self._advanced.connect(self._on_advanced)
        view.check_button.clicked.connect(self.start)
        view.cancel_button.clicked.connect(self.cancel)
        view.fetch_button.clicked.connect(self._fetch)

    def show_row(self, row: ModelRow | None) -> None:
        """Offer to check a row's files; None and models that are not here hide the bar."""
        self.close()
        self._row = row if row is not None and row.folder is not None else None
        self._found = None
        self._view.setVisible(self._row is not None)
        self._view.show_text("")

    @Slot()
    def start(self) -> None:
        if self._row is None or self._task is not None:
            return
        self._stop = threading.Event()
        self._view.show_progress(0.0)
        work = partial(_check, self._row, self._stop, partial(self._advanced.emit, self._stop))
        self._task = self._background.start(work, self._on_found, self._on_failure)

    @Slot()
    def cancel(self) -> None:
        """Stop the check that runs."""
        if self._task is not None:
            self.close()
            self._view.show_text("Stopped before the end.")

    def close(self) -> None:
        """Stop, and drop an answer that is still to come."""
        self._stop.set()
        if self._task is not None:
            self._task.abandon()
            self._task = None

    @Slot(object, float)
    def _on_advanced(self, stop: threading.Event, fraction: float) -> None:
        if self._task is not None and stop is self._stop:
            self._view.show_progress(fraction)

    @Slot(object)
    def _on_found(self, found: FilesCheck | None) -> None:
        self._task = None
        if found is None:
            return
        self._found = found
        fetch = not found.sound and found.row.where is Where.CACHE
        self._view.show_text(found.text, "success" if found.sound else "danger", fetch=fetch)

    @Slot(object)
    def _on_failure(self, error: PlaygroundError) -> None:
        self._task = None
        self._view.show_text(str(error), "danger")

    @Slot()
    def _fetch(self) -> None:
        if self._found is not None and self._task is None:
            work = partial(remove_damaged, self._found)
            self._task = self._background.start(work, self._on_removed, self._on_failure)

    @Slot()
    def _on_removed(self) -> None:
        self._task = None
        found, self._found = self._found, None
        if found is not None and self._downloads.add(found.row.spec, found.row.commit) is not None:
            self._view.show_text("Downloading what was damaged or missing …")


def _check(
    row: ModelRow, stop: threading.Event, report: Callable[[float], None]
) -> FilesCheck | None:
    """Check a row's files, reporting how far it is; None where it was stopped."""
    total, done, told = max(bytes_to_check(row), 1), 0, 0.0

    def observe(count: int) -> None:
        nonlocal done, told
        if stop.is_set():
            raise _CancelledError
        done += count
        if time.monotonic() - told >= _REPORT_EVERY_S:
            told = time.monotonic()
            report(min(done / total, 1.0))

    try:
        return check_files(row, observe)
    except _CancelledError:
        return None
