"""A search on the Hub, page by page."""

from __future__ import annotations

import threading
from collections.abc import Collection

from playground.hub.catalog import ModelRow, SearchFilters, SearchPage, Sort
from playground.hub.matching import search_text, within_bounds
from playground.hub.site.api import HubSite
from playground.hub.site.rows import ROW_PROPERTIES, hub_row

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
            if row is not None and row.key not in self._seen and within_bounds(row, self.filters):
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
        # Orders that the Hub does not have are made of its most downloaded models.
        "sort": (filters.sort if filters.sort.by_hub else Sort.DOWNLOADS).value,
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
