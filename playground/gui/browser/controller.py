"""Fills the model browser from this machine and the Hub, as its search and filters say."""

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
from playground.gui.context import AppContext
from playground.gui.toolkit.background import Task
from playground.gui.toolkit.widgets import announce
from playground.hub.catalog import ModelRow, SearchPage
from playground.hub.errors import HubError
from playground.hub.matching import matches, typed_model, wrong_address
from playground.hub.pages.browse import Here, HubPages, list_here, look_up

#: Between the last key press and the request to the Hub.
DEBOUNCE_MS = 300
#: Where the Hub asks to wait longer than this, it is asked again only on a click.
_LONGEST_WAIT_S = 300.0
#: Pages in a row without a matching model, after which the user is asked whether to go on.
_EMPTY_PAGES = 5


class BrowserController(QObject):
    """Fills a BrowserView; answers to earlier requests are dropped."""

    picked = Signal(object)  # the ModelRow that is current now, or None
    used = Signal(object)  # the ModelRow on which Enter was pressed
    favourites_changed = Signal(object)  # tuple[ModelSpec, ...]
    answered = Signal()  # the Hub has answered a request, or failed to

    def __init__(
        self,
        view: BrowserView,
        context: AppContext,
        *,
        recents: Sequence[ModelSpec] = (),
        favourites: Sequence[ModelSpec] = (),
        folders: Sequence[str] = (),
        current: ModelSpec | None = None,
        free_memory: Callable[[], FreeMemory] = FreeMemory,
        parent: QObject | None = None,
    ) -> None:
        """`current` is the lane's model, `free_memory` returns the memory for another one."""
        super().__init__(parent)
        self.view = view
        self.folders = tuple(folders)
        self._background = context.background
        self._hub = context.hub
        self._recents, self._favourites = tuple(recents), tuple(favourites)
        self._opened = (*((current,) if current else ()), *recents)
        self._read_free_memory, self._free_memory = free_memory, FreeMemory()
        self._here = Here()
        self._found: list[ModelRow] = []
        self._empty_pages = 0  # pages in a row without a matching model
        self._outdated = False  # the models found answer earlier filters
        self._facts: dict[ModelSpec, ModelRow] = {}
        self._looked_up: set[ModelSpec] = set()
        self._progress = Progress()
        self._reading: Task | None = None
        self._asking: Task | None = None
        self._pages: HubPages | None = None
        # Key and spec of the row to make current whenever it is listed.
        self._current: tuple[str, ModelSpec | None] = ("", current or ModelSpec())
        self._debounce = self._timer(DEBOUNCE_MS, self._search)
        self._again = self._timer(0, self._ask)
        self._connect()

    def start(self) -> None:
        """List this machine's models and ask the Hub."""
        self.view.set_folders(self.folders)
        self.refresh()

    @Slot()
    def refresh(self) -> None:
        """List this machine's models and ask the Hub again."""
        self._looked_up.clear()
        self.read_here()
        self._search()

    def read_here(self) -> None:
        """List this machine's models again."""
        if self._reading is not None:
            self._reading.abandon()
        work = partial(list_here, self.folders, self._opened, self._hub)
        self._reading = self._background.start(work, self._on_here, self._on_here_failure)
        self._show(reading=True)

    def go_to(self, spec: ModelSpec, *, opened: bool = False) -> None:
        """Make a model current as soon as it is listed; `opened` adds its folder to the list."""
        self._current = ("", spec)
        if opened:
            self._opened = (spec, *(other for other in self._opened if other != spec))
        self.read_here()

    def set_folders(self, folders: Sequence[str]) -> None:
        """Set the model folders and list this machine's models again."""
        self.folders = tuple(folders)
        self.view.set_folders(self.folders)
        self.read_here()

    @property
    def settled(self) -> bool:
        """Whether nothing is being read or asked, and no typing is being waited for."""
        return not (self._progress.reading or self._progress.asking or self._debounce.isActive())

    def current(self) -> ModelRow | None:
        """Return the current row, None where there is none."""
        entry = self.view.list.current_entry()
        return entry.row if entry is not None else None

    def may_delete(self, row: ModelRow | None) -> bool:
        """Whether a row's files belong to the user, who may delete them."""
        return row is not None and row.key in self._here.deletable

    def close(self) -> None:
        """Stop asking, and drop answers that are still to come."""
        self._drop_search()
        self._debounce.stop()
        if self._reading is not None:
            self._reading.abandon()

    # What the user does

    def _connect(self) -> None:
        view = self.view
        view.filters.typed.connect(self._typed)
        view.filters.changed.connect(self._search)
        view.filters.search.entered.connect(self._entered)
        view.list.picked.connect(self._picked)
        view.list.used.connect(self._used)
        view.list.rows.more_requested.connect(self._ask)
        view.action_requested.connect(self._on_action)
        view.favourite.triggered.connect(self._toggle_favourite)
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
    def _toggle_favourite(self) -> None:
        entry = self.view.list.current_entry()
        if entry is not None:
            spec, marked = entry.row.spec, not entry.favourite
            self._favourites = with_favourite(self._favourites, spec, marked)
            if not entry.row.is_local:
                self._facts[spec] = entry.row
            self._show()
            self.favourites_changed.emit(self._favourites)

    @Slot(str)
    def _on_action(self, action: str) -> None:
        if action == "loosen":
            self.view.filters.loosen()
            self.view.filters.search.setFocus()
        elif self._pages is not None and (action == "more" or self._progress.error is not None):
            self._empty_pages = 0
            self._ask()
        else:
            self.refresh()

    # The Hub

    @Slot()
    def _search(self) -> None:
        """Start a new search with the filters as they are."""
        self._drop_search()
        self._debounce.stop()
        self._free_memory = self._read_free_memory()
        filters = self.view.filters.filters()
        wrong = wrong_address(filters.text)
        if filters.here_only or wrong is not None:
            self._found = []
            self._show(asking=False, more=False, error=wrong)
            return
        self._outdate()
        self._empty_pages = 0
        self._pages = HubPages(filters, self._hub)
        self._ask()

    def _outdate(self) -> None:
        """Keep the found models that match the new filters until the Hub answers."""
        filters = self.view.filters.filters()
        self._found = [row for row in self._found if matches(row, filters)]
        self._outdated = True
        if (typed := typed_model(filters.text)) is not None:
            self._current = ("", typed)  # wherever it will be in the list

    @Slot()
    def _ask(self) -> None:
        """Ask the Hub for the next page."""
        if self._pages is None or self._asking is not None:
            return
        self._again.stop()
        pages = self._pages
        self._asking = self._background.start(pages.next_page, self._on_page, self._on_page_failure)
        self._show(asking=True, error=None)

    @Slot(object)
    def _on_page(self, page: SearchPage | None) -> None:
        self._asking = None
        if page is None:
            return
        self._found = [*(() if self._outdated else self._found), *page.rows]
        self._outdated = False
        self._facts.update((row.spec, row) for row in page.rows)
        keys = {row.key for row in page.rows}
        new = any(isinstance(line, Entry) and line.row.key in keys for line in self._lines())
        self._empty_pages = 0 if new else self._empty_pages + 1
        # Without a new row nothing can be scrolled, so Qt would not ask for the next page.
        ask = page.more and 0 < self._empty_pages < _EMPTY_PAGES
        nothing = self._empty_pages > 0 and not ask
        self._show(asking=False, more=page.more, nothing_new=nothing, error=None)
        if ask:
            self._ask()
        else:
            announce(self.view, self.view.summary())
        self.answered.emit()

    @Slot(object)
    def _on_page_failure(self, error: PlaygroundError) -> None:
        self._asking = None
        if self._outdated:
            self._found = []
        if isinstance(error, HubError) and 0 < error.wait_s <= _LONGEST_WAIT_S:
            self._again.start(round(error.wait_s * 1000))
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
    def _on_here(self, here: Here) -> None:
        self._here, self._reading = here, None
        self._show(reading=False)

    @Slot(object)
    def _on_here_failure(self, error: PlaygroundError) -> None:
        self._reading = None
        self._show(reading=False, error=error)

    def _look_up(self, lines: list[Line]) -> None:
        """Ask the Hub about favourites and recent models of which only the name is known."""
        specs = [s for s in unknown(lines) if not s.revision and s not in self._looked_up]
        if specs and not self._progress.reading:
            self._looked_up.update(specs)
            self._background.start(partial(look_up, specs, self._hub), self._on_looked_up)

    @Slot(object)
    def _on_looked_up(self, found: Mapping[ModelSpec, ModelRow]) -> None:
        self._facts.update(found)
        self._show()

    # The list

    def _show(self, **changes: Any) -> None:
        """Show what is known, after changing these fields of the progress."""
        self._progress = replace(self._progress, **changes)
        filters, scope = self.view.filters.filters(), self.view.filters.chosen_scope()
        lines = self._lines()
        self.view.show_lines(lines, *self._current)
        shown = notice(
            lines,
            self._progress,
            scope,
            narrowed=self.view.filters.narrows() and self._has_models(scope),
            again_in_s=self._again.interval() / 1000 if self._again.isActive() else 0.0,
        )
        self.view.show_notice(shown, summary(lines, self._progress, filters.sort))
        self._keep_current()
        self._look_up(lines)
        now = self._progress
        self.view.list.rows.set_more(now.more and not (now.asking or now.nothing_new))

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

    def _has_models(self, scope: Scope) -> bool:
        """Whether fewer filters could bring models into the list."""
        marked = {Scope.FAVOURITES: self._favourites, Scope.RECENT: self._recents}
        return bool(marked.get(scope, True))

    def _keep_current(self) -> None:
        rows = self.view.list
        if rows.current_entry() is None and not self._progress.reading:
            wanted = self._current
            rows.select_first()
            if self._progress.asking:
                self._current = wanted  # the Hub may still list it
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
