"""Reads what a model's page shows. Everything here blocks: it must not run on the GUI thread.

The first call imports the Hub's library, which takes a moment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.core.model.checkpoint import find_gptq_sibling, read_checkpoint
from playground.core.precision import Precision
from playground.core.system.paths import full_path
from playground.hub.catalog import DerivativeGroup, ModelPage, ModelRow, Where
from playground.hub.place import HubPlace


@dataclass(frozen=True)
class FoundPage:
    """A page with what is known on this machine.

    `usable`: a lane can take the model now. `gptq_beside`: a GPTQ folder lies beside its own.
    `logged_in`: a token is stored.
    """

    page: ModelPage
    usable: bool = False
    gptq_beside: bool = False
    logged_in: bool = False


def read_row_page(row: ModelRow, place: HubPlace) -> FoundPage:
    """Read the page of a row, from the files of a model on this machine, else from the Hub.

    Raises ModelError.
    """
    from playground.hub.local.models import folder_row
    from playground.hub.pages.model_page import local_page, read_page
    from playground.hub.site.account import has_token
    from playground.hub.site.api import HubSite

    if not row.is_local:
        page = read_page(row.spec, HubSite(place.endpoint, place.cache))
        return FoundPage(page, not _problem(row.spec, place), logged_in=has_token())
    if row.where is Where.FOLDER and row.folder is None:  # only its path is known so far
        row = folder_row(full_path(row.spec.source))
    own = row.where in (Where.FOLDER, Where.BUNDLED) and not row.quantization
    sibling = find_gptq_sibling(row.folder) if own and row.folder is not None else None
    page, problem = local_page(row), _problem(row.spec, place)
    page = replace(page, row=replace(page.row, problem=problem))
    return FoundPage(page, not problem, sibling is not None)


def _problem(spec: ModelSpec, place: HubPlace) -> str:
    """Return why no lane can take a model from this machine, with the remedy; "" if one can."""
    from playground.hub.local.resolve import resolve

    try:
        read_checkpoint(resolve(spec, Precision.BF16, place.cache).folder)
    except ModelError as error:
        return f"{error.message} {error.remedy}".strip()
    return ""


def read_versions(id_: str, place: HubPlace) -> tuple[DerivativeGroup, ...]:
    """Return a model's quantized versions on the Hub. Raises ModelError."""
    from playground.hub.local.cache import cached_models
    from playground.hub.pages.derivatives import read_derivatives
    from playground.hub.site.api import HubSite

    here = frozenset(model.id for model in cached_models(place.cache) if model.complete)
    return read_derivatives(id_, HubSite(place.endpoint, place.cache), here)
