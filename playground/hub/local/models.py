"""Lists the models on this machine as rows, without the network."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from playground.core.errors import FileError, ModelError
from playground.core.facts import ModelSpec
from playground.core.model.checkpoint import Checkpoint, read_checkpoint
from playground.core.model.counts import check_counts
from playground.core.system import paths
from playground.core.system.reader import is_folder, read_bytes, read_object
from playground.core.system.resources import resource
from playground.hub.cards import split_card
from playground.hub.catalog import ModelRow, Where
from playground.hub.local.cache import CachedModel, cached_models
from playground.hub.local.resolve import BUNDLED_NAME
from playground.hub.site.rows import (
    licence,
    quantization,
    stored_precision,
    text,
    with_quantize_config,
)
from playground.hub.source import BUNDLED

log = logging.getLogger(__name__)

#: Model folders are searched two levels down (`owner/name`), and at most for this many models.
_DEPTH = 2
_MOST = 2000
#: Bytes of a card that are read for a row.
_FRONT_BYTES = 16 * 1024


def local_models(folders: Sequence[Path] = (), cache: Path | None = None) -> list[ModelRow]:
    """List the bundled model, the Hub's cache, the library and the user's folders, in this order.

    The library holds quantized copies that were made here. A folder is a model itself or holds
    models, one or two levels down (`name`, `owner/name`). A model that cannot be loaded is listed
    with its problem; what cannot be read is left out.
    """
    rows = [_bundled()]
    rows += [cached_row(model) for model in cached_models(cache)]
    seen: set[Path] = set()
    for folder in (paths.library_dir(), *folders):
        for found in _model_folders(folder):
            if found not in seen and len(seen) < _MOST:
                seen.add(found)
                rows.append(folder_row(found))
    return rows


def ids_here(rows: Sequence[ModelRow]) -> frozenset[str]:
    """Return the Hub ids of the local rows that can be loaded, to mark the rows of a search."""
    return frozenset(
        row.spec.source for row in rows if row.where is Where.CACHE and not row.problem
    )


def folder_row(folder: Path, where: Where = Where.FOLDER) -> ModelRow:
    """Describe a model in a folder."""
    size, changed = 0, 0.0
    for path in _children(folder):
        try:
            stat = path.stat()
            if path.is_file():
                size += stat.st_size
                changed = max(changed, stat.st_mtime)
        except OSError:
            continue
    row = ModelRow(
        key=f"folder:{folder}",
        spec=ModelSpec(str(folder)),
        where=where,
        name=folder.name,
        is_here=True,
        size=size,
        updated=_moment(changed),
        folder=folder,
    )
    return _with_checkpoint(row, folder)


def read_config(folder: Path) -> dict[str, object]:
    """Read a model's config, with AutoGPTQ's settings where they lie beside it.

    Raises FileError.
    """
    config = read_object(folder / "config.json")
    check_counts(config)
    beside = folder / "quantize_config.json"
    return with_quantize_config(config, read_object(beside) if beside.exists() else {})


def _bundled() -> ModelRow:
    row = folder_row(resource("models", BUNDLED_NAME), Where.BUNDLED)
    return replace(row, key=BUNDLED, spec=ModelSpec(BUNDLED), name=BUNDLED_NAME)


def cached_row(model: CachedModel) -> ModelRow:
    """Describe a snapshot in the Hub's cache."""
    revision = "" if "main" in model.refs else (model.refs or (model.commit,))[0]
    row = ModelRow(
        key=f"cache:{model.id}@{model.commit}",
        spec=ModelSpec(model.id, revision),
        where=Where.CACHE,
        name=model.id,
        author=model.id.split("/")[0] if "/" in model.id else "",
        is_here=True,
        size=model.size,
        updated=_moment(model.changed),
        commit=model.commit,
        refs=model.refs,
        folder=model.folder,
        problem=model.problem,
    )
    return row if model.problem else _with_checkpoint(row, model.folder)


def _with_checkpoint(row: ModelRow, folder: Path) -> ModelRow:
    """Add what the model's files say, its card included.

    Whatever is wrong with them becomes the row's problem: it must not hide the other models.
    """
    try:
        return _described(row, folder)
    except ModelError as error:
        return replace(row, problem=error.message)
    except Exception as error:
        log.warning("%s: %r", folder, error, exc_info=error)
        return replace(row, problem="Its files are damaged and cannot be read.")


def _described(row: ModelRow, folder: Path) -> ModelRow:
    point = read_checkpoint(folder)
    method, bits = _quantization(folder, point)
    front = _card_front(folder)
    return replace(
        row,
        licence=licence({"cardData": front}, ()),
        task=text(front.get("pipeline_tag")),
        parameters=point.parameters,
        quantization=method,
        bits=bits,
        stored=stored_precision(method, bits, {point.stored_dtype.upper(): 1}),
        library="transformers",
    )


def _card_front(folder: Path) -> Mapping[str, object]:
    """Return a card's front matter, {} where there is none or it is very long."""
    try:
        beginning = read_bytes(folder / "README.md", _FRONT_BYTES, cut=True)
        return split_card(beginning.decode("utf-8", "replace"))[0]
    except FileError:
        return {}


def _quantization(folder: Path, point: Checkpoint) -> tuple[str, int]:
    if not point.quantization:
        return "", 0
    return point.quantization, quantization(read_config(folder))[1]


def _model_folders(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    try:
        folder = paths.full_path(folder)
    except FileError as error:
        log.warning("%s", error)
        return
    names = {path.name for path in _children(folder)}
    if "config.json" in names:
        if _is_model(folder / "config.json"):
            yield folder
        return
    if depth:
        below = sorted(path for path in _children(folder) if is_folder(path))[:_MOST]
        for inner in below:
            if not inner.name.startswith((".", "models--")):
                yield from _model_folders(inner, depth - 1)


def _is_model(config: Path) -> bool:
    """Whether a config.json is a model's. A damaged one is, so that it is listed as damaged."""
    try:
        return bool(read_object(config).get("model_type"))
    except FileError:
        return True


def _children(folder: Path) -> list[Path]:
    """Return what is in a folder; [] where it is gone or cannot be read."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (ValueError, OverflowError, OSError):  # the year 200,000
        return None
