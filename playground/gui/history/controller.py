"""Reads the history for its window, and carries out what is asked for there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QWidget

from playground.core.errors import PlaygroundError
from playground.gui.context import AppContext
from playground.gui.history.dialog import HistoryDialog
from playground.gui.history.recorder import HistoryRecorder
from playground.gui.history.reopening import Reopening
from playground.gui.history.source import (
    Filters,
    Page,
    Shown,
    import_run,
    missing_here,
    read_page,
    read_shown,
)
from playground.gui.history.text import runs_text
from playground.gui.toolkit.background import Task
from playground.history.records import KeptRun
from playground.history.report.bundle import write_bundle
from playground.history.report.files import write_report

_NOTHING = "No run matches."
_EMPTY = "Nothing is kept yet: runs appear here as they happen."


class HistoryController(QObject):
    """Opens the History window, one at a time; all reading happens off the GUI thread."""

    def __init__(
        self,
        context: AppContext,
        recorder: HistoryRecorder,
        reopening: Reopening,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self.dialog: HistoryDialog | None = None
        self.shown: Shown | None = None  # in the dialog
        self._context = context
        self._writer = recorder.writer
        self._reopening = reopening
        self._window = window
        self._listing: Task | None = None
        self._reading: Task | None = None
        self._wanted: tuple[int, ...] = ()  # to be selected once the list has been read
        self._deleted: tuple[int, ...] = ()  # what Undo brings back
        recorder.changed.connect(self.refresh)
        recorder.interrupted.connect(self._offer_interrupted)

    @Slot()
    def open(self) -> None:
        """Open the window, or bring it to the front."""
        if self.dialog is None:
            self.dialog = dialog = HistoryDialog(self._window)
            dialog.filtersChanged.connect(self.refresh)
            dialog.table.runs.more_wanted.connect(self._read_more)
            dialog.table.chosen.connect(self._read_selected)
            dialog.openRequested.connect(self.open_selected)
            dialog.runRequested.connect(self.run_selected)
            dialog.deleteRequested.connect(self.delete_selected)
            dialog.undoRequested.connect(self.undo_delete)
            dialog.reportRequested.connect(self.save_report)
            dialog.exportRequested.connect(self.export)
            dialog.importRequested.connect(self.import_file)
            dialog.finished.connect(self._closed)
            self.refresh()
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()

    def open_at(self, run: int) -> None:
        """Open the window with one run selected."""
        self._wanted = (run,)
        self.open()
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """Read the list anew; what is selected stays so."""
        if self.dialog is not None:
            self._wanted = self._wanted or tuple(self.dialog.table.selected())
            self._list(0)

    @Slot()
    def open_selected(self) -> None:
        """Show the selected run as lanes."""
        self._reopen(again=False)

    @Slot()
    def run_selected(self) -> None:
        """Show the selected run as lanes, and run its prompt there."""
        self._reopen(again=True)

    @Slot()
    def delete_selected(self) -> None:
        """Delete the selected runs; the message bar offers to undo it."""
        if self.dialog is None or not (ids := tuple(self.dialog.table.remove_selected())):
            return
        self._writer.delete(ids)
        self._deleted = ids
        text = f"{runs_text(len(ids))} deleted."
        self.dialog.show_count(f"{text} Ctrl+Z brings {'it' if len(ids) == 1 else 'them'} back.")
        self._context.notify.offer(text, "Undo", partial(self.restore, ids))

    @Slot()
    def undo_delete(self) -> None:
        """Bring back what was deleted last."""
        if self._deleted:
            self.restore(self._deleted)

    def restore(self, ids: Sequence[int]) -> None:
        """Bring back deleted runs."""
        self._deleted = ()
        self._writer.delete(tuple(ids), deleted=False)
        self._wanted = tuple(ids)
        self.refresh()

    @Slot(object, str)
    def save_report(self, path: Path, suffix: str) -> None:
        """Save the report of what is shown, in the format of a suffix."""
        if self.shown is not None:
            report = self.shown.report
            self._start(partial(_saved, partial(write_report, report, path, suffix), path))

    @Slot(object)
    def export(self, path: Path) -> None:
        """Save the shown run as a bundle."""
        if self.shown is not None:
            run = self.shown.runs[0]
            self._start(partial(_saved, partial(write_bundle, run, path), path))

    @Slot(object)
    def import_file(self, path: Path) -> None:
        """Keep the run of a bundle, and say how this machine differs."""
        self._context.background.start(
            partial(import_run, self._writer, path), self._imported, self._failed
        )

    # Internals

    def _list(self, offset: int) -> None:
        if self.dialog is None:
            return
        if self._listing is not None:
            self._listing.abandon()
        work = partial(read_page, self._writer, self.dialog.filters(), offset)
        self._listing = self._context.background.start(work, self._show_page, self._failed)

    @Slot()
    def _read_more(self) -> None:
        if self.dialog is not None:
            self._list(self.dialog.table.runs.rowCount())

    @Slot(object)
    def _show_page(self, page: Page) -> None:
        if (dialog := self.dialog) is None:
            return
        table = dialog.table
        if page.offset:
            table.runs.append(page.rows, more=page.more)
        else:
            table.runs.set_runs(page.rows, more=page.more)
            if page.models is not None:
                dialog.show_models(page.models)
            wanted, self._wanted = self._wanted, ()
            table.select(wanted)
            if not page.rows:
                empty = dialog.filters() == Filters()
                dialog.run.show_report(None, _EMPTY if empty else _NOTHING)
        count = table.runs.rowCount()
        dialog.show_count(
            f"The latest {count:,} runs; scroll for more" if page.more else runs_text(count)
        )

    @Slot()
    def _read_selected(self) -> None:
        if self.dialog is None:
            return
        ids = self.dialog.table.selected()
        self.dialog.enable(len(ids))
        if self._reading is not None:
            self._reading.abandon()
        if not 1 <= len(ids) <= 2:
            self.shown = None
            if ids:
                self.dialog.run.show_report(None, f"{len(ids):,} runs are selected.")
            else:
                self.dialog.run.show_report(None)
            return
        work = partial(read_shown, self._writer, ids)
        self._reading = self._context.background.start(work, self._show_run, self._unreadable)

    @Slot(object)
    def _show_run(self, shown: Shown) -> None:
        self.shown = shown
        if self.dialog is not None:
            self.dialog.run.show_report(shown.report)

    @Slot(object)
    def _unreadable(self, error: PlaygroundError) -> None:
        self.shown = None
        if self.dialog is not None:
            self.dialog.run.show_report(None, str(error))

    def _reopen(self, *, again: bool) -> None:
        if self.shown is None or len(self.shown.runs) != 1:
            return
        run = self.shown.runs[0]
        environments = [one.name for one in self._context.settings.values.environments]
        work = partial(_with_missing, run, environments, self._context.hub.cache, again)
        self._context.background.start(work, self._reopened, self._failed)

    @Slot(object)
    def _reopened(self, found: tuple[KeptRun, list[str], bool]) -> None:
        run, gone, again = found
        if self._reopening.open(run, gone, again=again):
            self._window.activateWindow()
            self._window.raise_()

    @Slot(object)
    def _imported(self, found: tuple[int, list[str]]) -> None:
        number, differences = found
        self._wanted = (number,)
        self.refresh()
        differs = f" Differs here: {'; '.join(differences)}." if differences else ""
        self._say(f"The run is number {number} now.{differs}")

    def _start(self, work: partial[str]) -> None:
        self._context.background.start(work, self._say, self._failed)

    @Slot(str)
    def _say(self, text: str) -> None:
        self._context.notify.info(text)
        if self.dialog is not None:
            self.dialog.show_count(text)

    @Slot(object)
    def _failed(self, error: PlaygroundError) -> None:
        self._context.notify.warning(error)
        if self.dialog is not None:
            self.dialog.show_count(str(error))

    @Slot(int)
    def _offer_interrupted(self, run: int) -> None:
        self._context.notify.offer(
            "The last window ended during a run. What it had answered is kept.",
            "Show",
            partial(self.open_at, run),
        )

    @Slot()
    def _closed(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = self.shown = None


def _saved(write: partial[None], path: Path) -> str:
    write()
    return f"{path} is saved."


def _with_missing(
    run: KeptRun, environments: Sequence[str], cache: Path | None, again: bool
) -> tuple[KeptRun, list[str], bool]:
    return run, missing_here(run, environments, cache), again
