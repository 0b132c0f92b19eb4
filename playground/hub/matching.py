"""Applies a search's filters and orders to rows that are loaded; imports no library."""

from __future__ import annotations

import contextlib
from collections.abc import Collection

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.hub.catalog import ModelRow, SearchFilters, Sort
from playground.hub.source import is_address, parse_hub_id


def typed_model(typed: str) -> ModelSpec | None:
    """Return the one model that was typed or pasted, None for a part of a name.

    It is typed as owner/name, owner/name@revision or a page's address.
    """
    typed = typed.strip()
    if "/" in typed:
        with contextlib.suppress(ModelError):
            return parse_hub_id(typed)
    return None


def wrong_address(typed: str) -> ModelError | None:
    """Return what is wrong with a pasted address that leads to no model, None where none is."""
    if is_address(typed):
        try:
            parse_hub_id(typed)
        except ModelError as error:
            return error
    return None


def search_text(typed: str) -> str:
    """Return the text to search for: the id in a pasted address, else what was typed."""
    found = typed_model(typed)
    return found.source if found is not None else typed.strip()


def matches(row: ModelRow, filters: SearchFilters) -> bool:
    """Return whether a row of this machine passes the filters.

    An unknown task or licence does not exclude it.
    """
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
    return within_bounds(row, filters)


def sorted_rows(rows: Collection[ModelRow], sort: Sort) -> list[ModelRow]:
    """Return rows in a search's order; those without the figure come last, the latest first."""

    def order(row: ModelRow) -> tuple[float, float, str]:
        figure = {
            Sort.DOWNLOADS: row.downloads,
            Sort.LIKES: row.likes,
            Sort.SIZE: row.size,
            Sort.PARAMETERS: row.parameters,
        }.get(sort)
        updated = row.updated.timestamp() if row.updated and sort is not Sort.NAME else 0.0
        return (-float(figure or 0), -updated, row.name.lower())

    return sorted(rows, key=order)


def within_bounds(row: ModelRow, filters: SearchFilters) -> bool:
    """Return whether a row passes the filters that an older Hub or a mirror may have ignored.

    Numbers of parameters may miss a bound by 10 %.
    """
    if row.parameters is not None:
        if filters.min_parameters and row.parameters < filters.min_parameters * 0.9:
            return False
        if filters.max_parameters and row.parameters > filters.max_parameters * 1.1:
            return False
    return filters.gated is None or row.is_local or row.gated == filters.gated
