"""Decides what the model browser lists, and asks this machine and the Hub for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.core.facts import ModelSpec
from playground.core.settings import with_favourite
from playground.gui.browser.model_list import (
    Entry,
    FreeMemory,
    Line,
    Scope,
    Shelf,
    arrange,
    unknown,
)
from playground.gui.browser.notices import Progress, notice, summary
from playground.gui.browser.view import BrowserView
from playground.gui.toolkit.background import Background, Task
from playground.gui.toolkit.widgets import announce
from playground.hub.catalog import ModelRow, SearchPage
from playground.hub.errors import HubError
from playground.hub.matching import matches, typed_model
from playground.hub.pages.browse import Here, HubPages, list_here, look_up
from playground.hub.place import HubPlace

#: From the last letter to the question.
DEBOUNCE_MS = 300
#: The longest time that the Hub may ask for before it is asked again without a click.
_WAITS_S = 300.0
#: Pages without a row to show that are passed over before the user is asked to go on.
_DRY_PAGES = 5
_Looked = Mapping[ModelSpec, ModelRow]


class BrowserController(QObject):
    """Fills a BrowserView. The newest question counts: answers to earlier ones are dropped."""

    picked = Signal(object)  # the ModelRow that is the current one now, or None
    used = Signal(object)  # the ModelRow on which Enter was pressed
    favourites_changed = Signal(object)  # tuple[ModelSpec, ...]
    answered = Signal()  # a question to the Hub is over

    def __init__(
        self,
        view: BrowserView,
        background: Background,
        *,
        recents: Sequence[ModelSpec] = (),
        favourites: Sequence[ModelSpec] = (),
        folders: Sequence[str] = (),
        current: ModelSpec | None = None,
        place: HubPlace | None = None,
        free_memory: Callable[[], FreeMemory] = FreeMemory,
        parent: QObject | None = None,
    ) -> None:
        """`current` is the lane's model, `free_memory` what another could have."""
        super().__init__(parent)
        self.view = view
        self.folders = tuple(folders)
        self._background = background
        self._place = place or HubPlace()
        self._recents, self._favourites = tuple(recents), tuple(favourites)
        self._opened = (*((current,) if current else ()), *recents)
        self._look_at_memory, self._free_memory = free_memory, FreeMemory()
        self._here = Here()
        self._found: list[ModelRow] = []
        self._dry = 0  # pages in a row that brought nothing to show
        self._outdated = False  # what was found answers earlier filters
        self._facts: dict[ModelSpec, ModelRow] = {}
        self._looked_up: set[ModelSpec] = set()
        self._progress = Progress()
        self._reading: Task | None = None
        self._asking: Task | None = None
        self._pages: HubPages | None = None
        # Key and spec of the row to come back to whenever it is listed.
        self._current: tuple[str, ModelSpec | None] = ("", current or ModelSpec())
        self._debounce = self._timer(DEBOUNCE_MS, self._search)
        self._again = self._timer(0, self._ask)
        self._connect()

    def start(self) -> None:
        """List what is here, and ask the Hub."""
        self.view.set_folders(self.folders)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """List this machine and ask the Hub anew."""
        self._looked_up.clear()
        self.read_here()
        self._search()

    def read_here(self) -> None:
        """List this machine anew."""
        if self._reading is not None:
            self._reading.abandon()
        work = partial(list_here, self.folders, self._opened, self._place)
        self._reading = self._background.start(work, self._here_read, self._here_failed)
        self._show(reading=True)

    def go_to(self, spec: ModelSpec, *, opened: bool = False) -> None:
        """Make a model the current one as soon as it is listed; `opened`: it is a folder that
        shall stand in the list."""
        self._current = ("", spec)
        if opened:
            self._opened = (spec, *(other for other in self._opened if other != spec))
        self.read_here()

    def set_folders(self, folders: Sequence[str]) -> None:
        """Take other model folders."""
        self.folders = tuple(folders)
        self.view.set_folders(self.folders)
        self.read_here()

    @property
    def settled(self) -> bool:
        """Nothing is being read or asked, and no letter is waited for."""
        return not (self._progress.reading or self._progress.asking or self._debounce.isActive())

    def current(self) -> ModelRow | None:
        """The row that is the current one."""
        entry = self.view.list.current_entry()
        return entry.row if entry is not None else None

    def may_delete(self, row: ModelRow | None) -> bool:
        """Whether a row is the user's own to delete."""
        return row is not None and row.key in self._here.own

    def close(self) -> None:
        """Ask nothing more, and take no answer."""
        self._drop_search()
        self._debounce.stop()
        if self._reading is not None:
            self._reading.abandon()

    # The user's wishes

    def _connect(self) -> None:
        view = self.view
        view.filters.typed.connect(self._typed)
        view.filters.changed.connect(self._search)
        view.filters.search.entered.connect(self._entered)
        view.list.picked.connect(self._picked)
        view.list.used.connect(self._used)
        view.list.rows.more_wanted.connect(self._ask)
        view.notice_asked.connect(self._notice_asked)
        view.favourite.triggered.connect(self._mark)
        view.refresh.triggered.connect(self.refresh)

    @Slot()
    def _typed(self) -> None:
        self._drop_search()
        self._debounce.start()
        self._outdate()
        asks = self.view.filters.chosen_scope() is Scope.ALL
        self._show(asking=asks, more=False, error=None)

    @Slot()
    def _entered(self) -> None:
        if self._debounce.isActive():
            self._search()
        elif (entry := self.view.list.current_entry()) is not None:
            self.used.emit(entry.row)

    @Slot(object)
    def _picked(self, entry: Entry) -> None:
        self._current = (entry.row.key, entry.row.spec)
        self._offer(entry)
        self.picked.emit(entry.row)

    @Slot(object)
    def _used(self, entry: Entry) -> None:
        self.used.emit(entry.row)

    @Slot()
    def _mark(self) -> None:
        entry = self.view.list.current_entry()
        if entry is not None:
            spec, marked = entry.row.spec, not entry.favourite
            self._favourites = with_favourite(self._favourites, spec, marked)
            if not entry.row.is_local:
                self._facts[spec] = entry.row
            self._show()
            self.favourites_changed.emit(self._favourites)

    @Slot(str)
    def _notice_asked(self, action: str) -> None:
        if action == "loosen":
            self.view.filters.loosen()
            self.view.filters.search.setFocus()
        elif self._pages is not None and (action == "more" or self._progress.error is not None):
            self._dry = 0
            self._ask()
        else:
            self.refresh()

    # The Hub

    @Slot()
    def _search(self) -> None:
        """Begin anew with the filters as they are."""
        self._drop_search()
        self._debounce.stop()
        self._free_memory = self._look_at_memory()
        filters = self.view.filters.filters()
        if filters.here_only:
            self._found = []
            self._show(asking=False, more=False, error=None)
            return
        self._outdate()
        self._dry = 0
        self._pages = HubPages(filters, self._place)
        self._ask()

    def _outdate(self) -> None:
        """Keep of what was found what fits the new filters, until the Hub has answered them."""
        filters = self.view.filters.filters()
        self._found = [row for row in self._found if matches(row, filters)]
        self._outdated = True
        if (typed := typed_model(filters.text)) is not None:
            self._current = ("", typed)  # wherever it is going to stand in the list

    @Slot()
    def _ask(self) -> None:
        """Ask for the next page."""
        if self._pages is None or self._asking is not None:
            return
        self._again.stop()
        pages = self._pages
        self._asking = self._background.start(pages.next_page, self._page_came, self._page_failed)
        self._show(asking=True, error=None)

    @Slot(object)
    def _page_came(self, page: SearchPage | None) -> None:
        self._asking = None
        if page is None:
            return
        self._found = [*(() if self._outdated else self._found), *page.rows]
        self._outdated = False
        self._facts.update((row.spec, row) for row in page.rows)
        came = {row.key for row in page.rows}
        new = any(isinstance(line, Entry) and line.row.key in came for line in self._lines())
        self._dry = 0 if new else self._dry + 1
        on = page.more and 0 < self._dry < _DRY_PAGES  # nothing new makes Qt ask for more
        self._show(asking=False, more=page.more, barren=self._dry > 0 and not on, error=None)
        if on:
            self._ask()
        else:
            announce(self.view, self.view.summary())
        self.answered.emit()

    @Slot(object)
    def _page_failed(self, error: PlaygroundError) -> None:
        self._asking = None
        if self._outdated:
            self._found = []
        wait_s = error.wait_s if isinstance(error, HubError) else 0.0
        if 0 < wait_s <= _WAITS_S:
            self._again.start(round(wait_s * 1000))
        self._show(asking=False, more=False, error=error)
        self.answered.emit()

    def _drop_search(self) -> None:
        self._again.stop()
        if self._pages is not None:
            self._pages.cancel()
        if self._asking is not None:
            self._asking.abandon()
        self._pages = self._asking = None

    # This machine

    @Slot(object)
    def _here_read(self, here: Here) -> None:
        self._here, self._reading = here, None
        self._show(reading=False)

    @Slot(object)
    def _here_failed(self, error: PlaygroundError) -> None:
        self._reading = None
        self._show(reading=False, error=error)

    def _look_up(self, lines: list[Line]) -> None:
        """Ask the Hub about favourites and recent models of which only the name is known."""
        specs = [s for s in unknown(lines) if not s.revision and s not in self._looked_up]
        if specs and not self._progress.reading:
            self._looked_up.update(specs)
            self._background.start(partial(look_up, specs, self._place), self._looked)

    @Slot(object)
    def _looked(self, found: _Looked) -> None:
        self._facts.update(found)
        self._show()

    # The list

    def _show(self, **changes: Any) -> None:
        """Show what is known; `changes` are fields of the progress."""
        self._progress = replace(self._progress, **changes)
        filters, scope = self.view.filters.filters(), self.view.filters.chosen_scope()
        lines = self._lines()
        self.view.show_lines(lines, *self._current)
        said = notice(
            lines,
            self._progress,
            scope,
            narrowed=self.view.filters.narrows() and self._could_be_filled(scope),
            again_in_s=self._again.interval() / 1000 if self._again.isActive() else 0.0,
        )
        self.view.show_notice(said, summary(lines, self._progress, filters.sort))
        self._keep_current()
        self._look_up(lines)
        at = self._progress
        self.view.list.rows.set_more(at.more and not (at.asking or at.barren))

    def _lines(self) -> list[Line]:
        chosen = self.view.filters
        shelf = Shelf(
            here=self._here.rows,
            found=self._found,
            facts=self._facts,
            favourites=self._favourites,
            recents=self._recents,
            free_memory=self._free_memory,
        )
        return arrange(
            shelf,
            chosen.filters(),
            chosen.chosen_scope(),
            chosen.chosen_fits(),
            searched=not self._progress.asking,
        )

    def _could_be_filled(self, scope: Scope) -> bool:
        """Whether looser filters could bring anything into the list."""
        marked = {Scope.FAVOURITES: self._favourites, Scope.RECENT: self._recents}
        return bool(marked.get(scope, True))

    def _keep_current(self) -> None:
        rows = self.view.list
        waiting = self._progress.reading or self._progress.asking
        if rows.current_entry() is None and not waiting:
            rows.select_first()
        entry = rows.current_entry()
        if entry is None:
            self.picked.emit(None)
        self._offer(entry)

    def _offer(self, entry: Entry | None) -> None:
        deletable = entry is not None and self.may_delete(entry.row)
        self.view.set_current(entry, deletable=deletable)

    def _timer(self, interval_ms: int, method: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        timer.timeout.connect(method)
        return timer
