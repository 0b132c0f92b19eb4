"""A search on the Hub, page by page."""

from __future__ import annotations

from collections.abc import Collection

from playground.hub.catalog import ModelRow, SearchFilters, SearchPage, Sort
from playground.hub.matching import search_text, within_bounds
from playground.hub.site.api import HubSite
from playground.hub.site.rows import ROW_PROPERTIES, hub_row

_MAX_PAGE = 100
#: Pages in a row without a fitting row, after which the user is asked to narrow the search.
_EMPTY_PAGES = 5


class Search:
    """One search, for one thread; no page is requested ahead."""

    def __init__(
        self, filters: SearchFilters, site: HubSite, here: Collection[str] = frozenset()
    ) -> None:
        """Ask for nothing yet. `here` are the Hub ids on this machine, to mark their rows."""
        self.filters = filters
        self._site = site
        self._here = here
        self._next = "/api/models"
        self._seen: set[str] = set()

    @property
    def exhausted(self) -> bool:
        return not self._next

    def next_page(self) -> SearchPage:
        """Return the next rows, none after the last page. Blocking.

        One request, or a few where a page of the Hub has no row that fits. Raises HubError, after
        which the same page can be requested again.
        """
        for _ in range(_EMPTY_PAGES):
            if self.exhausted or self.filters.here_only:
                return SearchPage((), more=False)
            rows = self._page()
            if rows:
                return SearchPage(rows, more=not self.exhausted)
        return SearchPage((), more=not self.exhausted)

    def _page(self) -> tuple[ModelRow, ...]:
        first = self._next == "/api/models"
        items, following = self._site.get_list(self._next, query(self.filters) if first else None)
        rows = []
        for item in items:
            row = hub_row(item, self._here)
            # A model that moves down the list between two requests comes twice.
            if row is not None and row.key not in self._seen and within_bounds(row, self.filters):
                self._seen.add(row.key)
                rows.append(row)
        self._next = following
        return tuple(rows)


def query(filters: SearchFilters) -> dict[str, str | int | bool | list[str]]:
    """Return the filters as the parameters of the Hub's API."""
    found: dict[str, str | int | bool | list[str]] = {
        # Orders that the Hub lacks are made locally, from its most downloaded models.
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
