"""Where a model's page comes from. Everything here blocks: never call it in a slot.

The Hub's library is imported by the first call, because it takes a while.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playground.core.checkpoint import find_gptq_sibling
from playground.core.facts import ModelSpec
from playground.hub.catalog import DerivativeGroup, ModelPage, ModelRow, Where


@dataclass(frozen=True)
class FoundPage:
    """A page, whether a GPTQ folder lies beside the model's own, and whether a token is stored."""

    page: ModelPage
    gptq_beside: bool = False
    logged_in: bool = False


def read_row_page(row: ModelRow, endpoint: str = "", cache: Path | None = None) -> FoundPage:
    """Read the page of a row: of one on this machine from its files, else from the Hub.

    Raises ModelError.
    """
    from playground.hub.account import has_token
    from playground.hub.model_page import local_page, read_page
    from playground.hub.site import HubSite

    if not row.is_local:
        return FoundPage(read_page(row.spec, HubSite(endpoint, cache)), logged_in=has_token())
    own = row.where in (Where.FOLDER, Where.BUNDLED) and not row.quantization
    sibling = find_gptq_sibling(row.folder) if own and row.folder is not None else None
    return FoundPage(local_page(row), sibling is not None)


def read_versions(
    id_: str, endpoint: str = "", cache: Path | None = None
) -> tuple[DerivativeGroup, ...]:
    """Ask the Hub for a model's quantized versions. Raises ModelError."""
    from playground.hub.cache import cached_models
    from playground.hub.derivatives import read_derivatives
    from playground.hub.site import HubSite

    here = frozenset(model.id for model in cached_models(cache) if model.complete)
    return read_derivatives(id_, HubSite(endpoint, cache), here)


def missing(specs: Sequence[ModelSpec], cache: Path | None = None) -> list[ModelSpec]:
    """Which Hub models of these cannot be loaded from this machine as they are."""
    from playground.hub.cache import find_cached
    from playground.hub.source import SourceKind, kind_of

    def here(spec: ModelSpec) -> bool:
        if kind_of(spec.source) is not SourceKind.HUB:
            return True
        found = find_cached(spec.source, spec.revision, cache)
        return found is not None and not found.problem

    return [spec for spec in dict.fromkeys(specs) if not here(spec)]
