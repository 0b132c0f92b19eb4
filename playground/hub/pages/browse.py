"""Where the browser's rows come from. Everything here blocks: never call it in a slot.

The Hub's library is imported by the first call, because it takes a while.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from playground.core.facts import ModelSpec
from playground.hub.catalog import ModelRow, SearchFilters, SearchPage
from playground.hub.errors import HubError
from playground.hub.place import HubPlace
from playground.hub.source import SourceKind, kind_of


@dataclass(frozen=True)
class Here:
    """What is on this machine. `own` are the keys of what may be deleted: the cache and the
    model folders, and no folder that was only opened."""

    rows: tuple[ModelRow, ...] = ()
    own: frozenset[str] = frozenset()


def list_here(folders: Sequence[str], opened: Sequence[ModelSpec], place: HubPlace) -> Here:
    """List what is on this machine: bundled, cached, in model folders, and folders opened; of
    those one that is gone too, as what is not here."""
    from playground.hub.local.models import folder_row, local_models

    rows = local_models([Path(folder) for folder in folders], place.cache)
    own = frozenset(row.key for row in rows if row.is_deletable)
    listed = {row.key for row in rows}
    for spec in opened:
        if kind_of(spec.source) is SourceKind.FOLDER:
            folder = Path(spec.source).expanduser().absolute()
            row = replace(folder_row(folder), is_here=folder.is_dir())
            if row.key not in listed:
                listed.add(row.key)
                rows.append(row)
    return Here(tuple(rows), own)


class HubPages:
    """The pages of one search. `next_page` is for one thread, `cancel` for any."""

    def __init__(self, filters: SearchFilters, place: HubPlace) -> None:
        self.filters = filters
        self._place = place
        self._search: object = None
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Let a request that is under way end untold, and ask for nothing more."""
        self._cancelled.set()

    def next_page(self) -> SearchPage | None:
        """Ask for the next rows; None where it was cancelled. Raises HubError."""
        from playground.hub.site.api import HubSite
        from playground.hub.site.search import Search

        if self._cancelled.is_set():
            return None
        if not isinstance(self._search, Search):
            self._search = Search(self.filters, HubSite(self._place.endpoint, self._place.cache))
        page = self._search.next_page()
        return None if self._cancelled.is_set() else page


def look_up(specs: Sequence[ModelSpec], place: HubPlace) -> Mapping[ModelSpec, ModelRow]:
    """What the Hub says of single models; one that cannot be asked about is left out."""
    from playground.hub.site.api import HubSite
    from playground.hub.site.rows import ROW_PROPERTIES, hub_row

    site, found = HubSite(place.endpoint, place.cache), dict[ModelSpec, ModelRow]()
    for spec in specs:
        path = f"/api/models/{spec.source}"
        try:
            item = site.get_json(path, spec.source, params={"expand": list(ROW_PROPERTIES)})
        except HubError as error:
            if error.answered:
                continue
            break  # the next one would wait as long for nothing
        row = hub_row(item)
        if row is not None:
            found[spec] = row
    return found
