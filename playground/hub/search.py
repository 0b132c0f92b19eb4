"""A search on the Hub, page by page, and the same filters for what is on this machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection

from playground.core.errors import ModelError
from playground.hub.catalog import ModelRow, SearchFilters, SearchPage, Sort
from playground.hub.rows import ROW_PROPERTIES, hub_row
from playground.hub.site import HubSite
from playground.hub.source import parse_hub_id

_MAX_PAGE = 100
#: Pages of one search in which no row fits, before the user is asked to narrow it.
_EMPTY_PAGES = 5


class SearchCancelled(Exception):  # noqa: N818  # no error: the user typed on
    """The search was cancelled; nothing is to be told."""


class Search:
    """One search. `next_page` is for one thread, `cancel` for any; no page is asked ahead."""

    def __init__(
        self, filters: SearchFilters, site: HubSite, here: Collection[str] = frozenset()
    ) -> None:
        """`here` are the Hub ids that are on this machine, to mark their rows."""
        self.filters = filters
        self._site = site
        self._here = here
        self._next = "/api/models"
        self._seen: set[str] = set()
        self._cancelled = threading.Event()

    @property
    def exhausted(self) -> bool:
        return not self._next

    def cancel(self) -> None:
        """Give it up; a request that is under way ends by itself and is not told."""
        self._cancelled.set()

    def next_page(self) -> SearchPage:
        """Ask for the next rows; blocking, one request (a few where the Hub's answer has no row
        that fits). After the last page: no rows.

        Raises HubError, after which the same page can be asked for again, and SearchCancelled.
        """
        for _ in range(_EMPTY_PAGES):
            if self.exhausted or self.filters.here_only:
                return SearchPage((), more=False)
            rows = self._page()
            if rows:
                return SearchPage(rows, more=not self.exhausted)
        return SearchPage((), more=not self.exhausted)

    def _page(self) -> tuple[ModelRow, ...]:
        self._check()
        first = self._next == "/api/models"
        items, following = self._site.get_list(self._next, query(self.filters) if first else None)
        self._check()
        rows = []
        for item in items:
            row = hub_row(item, self._here)
            # What is added or moves up between two pages would come twice.
            if row is not None and row.key not in self._seen and _fits(row, self.filters):
                self._seen.add(row.key)
                rows.append(row)
        self._next = following
        return tuple(rows)

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise SearchCancelled


def query(filters: SearchFilters) -> dict[str, str | int | bool | list[str]]:
    """The filters as the Hub's parameters."""
    found: dict[str, str | int | bool | list[str]] = {
        "sort": filters.sort.value,
        "limit": min(max(filters.page_size, 1), _MAX_PAGE),
        "expand": list(ROW_PROPERTIES),
    }
    tags = [filters.library] if filters.library else []
    if filters.licence:
        tags.append(f"license:{filters.licence}")
    if tags:
        found["filter"] = tags
    if words := search_text(filters.text):
        found["search"] = words
    if filters.author.strip():
        found["author"] = filters.author.strip()
    if filters.task:
        found["pipeline_tag"] = filters.task
    if filters.gated is not None:
        found["gated"] = filters.gated
    bounds = []
    if filters.min_parameters:
        bounds.append(f"min:{filters.min_parameters}")
    if filters.max_parameters:
        bounds.append(f"max:{filters.max_parameters}")
    if bounds:
        found["num_parameters"] = ",".join(bounds)
    return found


def search_text(typed: str) -> str:
    """What to look for: of a pasted address the model's id, else what was typed."""
    typed = typed.strip()
    if typed.startswith(("https://", "http://")):
        with contextlib.suppress(ModelError):
            return parse_hub_id(typed).source
    return typed


def matches(row: ModelRow, filters: SearchFilters) -> bool:
    """Whether a row of this machine fits. What is not known of it (its task, its licence)
    does not exclude it, but for the name and the author."""
    words = search_text(filters.text).lower().split()
    if not all(word in row.name.lower() for word in words):
        return False
    if filters.author and row.author.lower() != filters.author.strip().lower():
        return False
    if filters.task and row.task and row.task != filters.task:
        return False
    if filters.licence and row.licence and row.licence != filters.licence:
        return False
    known = {row.library, row.quantization} - {""}
    if filters.library not in ("", "transformers", "safetensors") and filters.library not in known:
        return False
    return _fits(row, filters)


def sorted_rows(rows: Collection[ModelRow], sort: Sort) -> list[ModelRow]:
    """Rows of this machine in a search's order; the latest first where the Hub's figures for
    it are not known here."""

    def order(row: ModelRow) -> tuple[float, float, str]:
        figure = {Sort.DOWNLOADS: row.downloads, Sort.LIKES: row.likes}.get(sort)
        updated = row.updated.timestamp() if row.updated else 0.0
        return (-float(figure or 0), -updated, row.name.lower())

    return sorted(rows, key=order)


def _fits(row: ModelRow, filters: SearchFilters) -> bool:
    """The bounds that a row itself can break: an older Hub or a mirror may not know them."""
    if row.parameters is not None:
        if filters.min_parameters and row.parameters < filters.min_parameters * 0.9:
            return False
        if filters.max_parameters and row.parameters > filters.max_parameters * 1.1:
            return False
    return filters.gated is None or row.is_local or row.gated == filters.gated
