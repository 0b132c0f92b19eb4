"""Finds the quantized versions of a model on the Hub, grouped by method."""

from __future__ import annotations

from collections.abc import Collection

from playground.hub.catalog import DerivativeGroup, ModelRow, Sort
from playground.hub.site.api import HubSite
from playground.hub.site.rows import METHODS, ROW_PROPERTIES, hub_row

#: Versions requested of each model, the most downloaded ones.
MOST_DERIVATIVES = 100
#: Groups whose method lanes can run.
_RUNS = frozenset({"gptq", "bitsandbytes"})
_BITSANDBYTES = frozenset({"nf4", "int8", "bitsandbytes"})
_OTHER = "other"


def read_derivatives(
    id_: str, site: HubSite, here: Collection[str] = frozenset()
) -> tuple[DerivativeGroup, ...]:
    """Return the quantized versions of a model, after one request.

    Methods that lanes can run come first; in each, the most downloaded version does. `here` are
    the Hub ids on this machine. Raises HubError.
    """
    items, _ = site.get_list(
        "/api/models",
        {
            "filter": f"base_model:quantized:{id_}",
            "sort": Sort.DOWNLOADS.value,
            "limit": MOST_DERIVATIVES,
            "expand": list(ROW_PROPERTIES),
        },
    )
    groups: dict[str, list[ModelRow]] = {}
    for item in items[:MOST_DERIVATIVES]:
        row = hub_row(item, here)
        if row is not None and row.name != id_:
            groups.setdefault(_group(row), []).append(row)
    found = [
        DerivativeGroup(
            method=method,
            label="Other" if method == _OTHER else METHODS.get(method, method),
            runs=method in _RUNS,
            rows=tuple(rows),
        )
        for method, rows in groups.items()
    ]
    return tuple(sorted(found, key=lambda g: (not g.runs, g.method == _OTHER, -len(g.rows))))


def _group(row: ModelRow) -> str:
    if row.quantization in _BITSANDBYTES:
        return "bitsandbytes"
    if row.quantization:
        return row.quantization
    return row.library if row.library in METHODS else _OTHER
