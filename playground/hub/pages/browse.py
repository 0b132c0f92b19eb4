"""Finds the rows of the model browser. Everything here blocks: it must not run on the GUI thread.

The first call imports the Hub's library, which takes a moment.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from playground.core.errors import FileError
from playground.core.facts import ModelSpec
from playground.core.system.paths import full_path
from playground.core.system.reader import is_folder
from playground.hub.catalog import ModelRow, SearchFilters, SearchPage
from playground.hub.errors import HubError
from playground.hub.place import HubPlace
from playground.hub.source import SourceKind, kind_of

if TYPE_CHECKING:
    from playground.hub.site.search import Search


@dataclass(frozen=True)
class Here:
    """The models on this machine.

    `deletable` are the keys of those that may be deleted: in the cache and the model folders,
    but not in folders that were only opened.
    """

    rows: tuple[ModelRow, ...] = ()
    deletable: frozenset[str] = frozenset()


def list_here(folders: Sequence[str], opened: Sequence[ModelSpec], place: HubPlace) -> Here:
    """List the models on this machine: bundled, cached, in model folders, and opened folders.

    An opened folder that is gone is listed too, as not being here.
    """
    from playground.hub.local.models import folder_row, local_models

    rows = local_models([Path(folder) for folder in folders], place.cache)
    deletable = frozenset(row.key for row in rows if row.is_deletable)
    listed = {row.key for row in rows}
    for spec in opened:
        if kind_of(spec.source) is SourceKind.FOLDER:
            try:
                folder = full_path(spec.source)
            except FileError:  # "~nobody"
                folder = Path(spec.source)
            row = replace(folder_row(folder), is_here=is_folder(folder))
            if row.key not in listed:
                listed.add(row.key)
                rows.append(row)
    return Here(tuple(rows), deletable)


class HubPages:
    """A search that can be cancelled: `next_page` is for one thread, `cancel` for any."""

    def __init__(self, filters: SearchFilters, place: HubPlace) -> None:
        self.filters = filters
        self._place = place
        self._search: Search | None = None
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Drop the answer of a request that is under way, and send no more."""
        self._cancelled.set()

    def next_page(self) -> SearchPage | None:
        """Return the next rows, None once cancelled. Raises HubError."""
        from playground.hub.site.api import HubSite
        from playground.hub.site.search import Search

        if self._cancelled.is_set():
            return None
        if self._search is None:
            self._search = Search(self.filters, HubSite(self._place.endpoint, self._place.cache))
        page = self._search.next_page()
        return None if self._cancelled.is_set() else page


def look_up(specs: Sequence[ModelSpec], place: HubPlace) -> Mapping[ModelSpec, ModelRow]:
    """Ask the Hub for the rows of single models; one that it does not answer for is left out."""
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
            break  # the others would wait as long, for nothing
        row = hub_row(item)
        if row is not None:
            found[spec] = row
    return found
