"""Finds the folder of a chosen model on this machine, without the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.core.format import path_text
from playground.core.model.checkpoint import find_gptq_sibling, read_checkpoint
from playground.core.model.kind import file_not_folder
from playground.core.precision import Precision
from playground.core.system import paths
from playground.core.system.reader import is_folder
from playground.core.system.resources import resource
from playground.hub.local.cache import find_cached
from playground.hub.local.fingerprint import fingerprint
from playground.hub.source import SourceKind, check_hub_id, check_revision, kind_of

BUNDLED_NAME = "classics-6m"


@dataclass(frozen=True)
class Resolved:
    """A model's folder, its name to show, and its commit, or the fingerprint of a folder."""

    folder: Path
    name: str
    commit: str


def resolve(spec: ModelSpec, precision: Precision, cache: Path | None = None) -> Resolved:
    """Return the local folder of a model for a precision. Raises ModelError with the remedy.

    GPTQ needs a checkpoint that was quantized beforehand. For a folder that is not, the bundled
    model's included, a sibling folder is taken whose name begins with `<folder>-gptq` and whose
    config names GPTQ.
    """
    found = _locate(spec, cache)
    if precision is not Precision.GPTQ or read_checkpoint(found.folder).quantization == "gptq":
        return found
    sibling = (
        find_gptq_sibling(found.folder) if kind_of(spec.source) is not SourceKind.HUB else None
    )
    if sibling is None:
        raise ModelError(
            f"{found.name} is not GPTQ-quantized.",
            f"Choose a GPTQ checkpoint of it (on the Hub usually named {found.name}-GPTQ), or "
            f"put one beside its folder as {found.folder.name}-gptq."
            if kind_of(spec.source) is not SourceKind.HUB
            else "Choose a GPTQ checkpoint of it, on the Hub usually named like it with -GPTQ.",
        )
    return Resolved(sibling, sibling.name, fingerprint(sibling))


def missing(specs: Sequence[ModelSpec], cache: Path | None = None) -> list[ModelSpec]:
    """Return the Hub models among these that must be downloaded before a load."""

    def here(spec: ModelSpec) -> bool:
        if kind_of(spec.source) is not SourceKind.HUB:
            return True
        cached = find_cached(spec.source, spec.revision, cache)
        return cached is not None and cached.complete

    return [spec for spec in dict.fromkeys(specs) if not here(spec)]


def _locate(spec: ModelSpec, cache: Path | None) -> Resolved:
    match kind_of(spec.source):
        case SourceKind.BUNDLED:
            folder = resource("models", BUNDLED_NAME)
            if not folder.is_dir():
                raise ModelError(
                    "The bundled model is missing from this installation.",
                    "Install the playground again.",
                    str(folder),
                )
            return Resolved(folder, BUNDLED_NAME, fingerprint(folder))
        case SourceKind.FOLDER:
            return _locate_folder(paths.full_path(spec.source))
        case SourceKind.HUB:
            return _locate_cached(spec, cache)


def _locate_folder(folder: Path) -> Resolved:
    if not is_folder(folder):
        raise file_not_folder(folder) or ModelError(
            f"There is no folder {path_text(folder)}.",
            "Choose an existing folder, or a Hub model's id.",
        )
    repository = folder.parent.parent.name
    if folder.parent.name == "snapshots" and repository.startswith("models--"):
        # The folder is a snapshot in the Hub's cache, whose path has the model's name.
        id_ = repository.removeprefix("models--").replace("--", "/")
        return Resolved(folder, id_, folder.name)
    return Resolved(folder, folder.name or str(folder), fingerprint(folder))


def _locate_cached(spec: ModelSpec, cache: Path | None) -> Resolved:
    check_hub_id(spec.source)
    check_revision(spec.revision)
    shown = f"{spec.source} at {spec.revision}" if spec.revision else spec.source
    cached = find_cached(spec.source, spec.revision, cache)
    if cached is None:
        raise ModelError(
            f"{shown} is not on this machine.",
            "Download it in the model picker, or check the spelling of the id.",
        )
    if cached.problem:
        raise ModelError(
            f"The copy of {shown} on this machine cannot be used. {cached.problem}",
            "Download it again in the model picker; what is here is kept.",
        )
    return Resolved(cached.folder, cached.id, cached.commit)
