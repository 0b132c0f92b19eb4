"""Lists the models on this machine as rows, without the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.core.model.checkpoint import Checkpoint, read_checkpoint
from playground.core.system import paths
from playground.core.system.resources import resource
from playground.hub.cards import split_card
from playground.hub.catalog import ModelRow, Where
from playground.hub.local.cache import CachedModel, cached_models
from playground.hub.local.resolve import BUNDLED_NAME
from playground.hub.site.rows import (
    licence,
    parse_object,
    quantization,
    stored_precision,
    text,
    with_quantize_config,
)
from playground.hub.source import BUNDLED

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
        for found in _model_folders(folder.expanduser().absolute()):
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
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            stat = path.stat()
        except OSError:
            continue
        if path.is_file():
            size += stat.st_size
            changed = max(changed, stat.st_mtime)
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


def read_json(path: Path) -> dict[str, object]:
    """Read a file with a JSON object; {} for anything else."""
    try:
        return parse_object(path.read_bytes())
    except OSError:
        return {}


def read_config(folder: Path) -> dict[str, object]:
    """Read a model's config, with AutoGPTQ's settings where they lie beside it."""
    return with_quantize_config(
        read_json(folder / "config.json"), read_json(folder / "quantize_config.json")
    )


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
    """Add what the model's files say, its card included."""
    try:
        point = read_checkpoint(folder)
    except ModelError as error:
        return replace(row, problem=error.message)
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
        with (folder / "README.md").open("rb") as file:
            return split_card(file.read(_FRONT_BYTES).decode("utf-8", "replace"))[0]
    except OSError:
        return {}


def _quantization(folder: Path, point: Checkpoint) -> tuple[str, int]:
    if not point.quantization:
        return "", 0
    return point.quantization, quantization(read_config(folder))[1]


def _model_folders(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    if (folder / "config.json").is_file():
        if text(read_json(folder / "config.json").get("model_type")):
            yield folder
        return
    if not depth:
        return
    try:
        below = sorted(p for p in folder.iterdir() if p.is_dir())[:_MOST]
    except OSError:
        return
    for inner in below:
        if not inner.name.startswith((".", "models--")):
            yield from _model_folders(inner, depth - 1)


def _moment(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
