"""The tensors of a model from its files' headers: kilobytes, where the weights are gigabytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.core.model.safetensors_header import StoredTensor, read_header
from playground.core.precision import Precision
from playground.hub.catalog import TensorTable
from playground.hub.downloads.needed_files import needed_files
from playground.hub.errors import HubError
from playground.hub.local.cache import find_cached
from playground.hub.local.models import read_json
from playground.hub.local.resolve import resolve
from playground.hub.site.api import HubSite
from playground.hub.site.rows import mapping, text
from playground.hub.source import SourceKind, kind_of

CONFIG_LIMIT = 4 * 1024 * 1024
#: Enough for nearly every header in one request, as the Hub's library has found.
_FIRST = 100_000
_MAX_HEADER = 25_000_000
_WORKERS = 8
_MOST_PAGES = 20


def read_tensors(spec: ModelSpec, site: HubSite, commit: str = "") -> TensorTable:
    """Read a model's tensor table: from this machine where that version is here, else by range
    requests; offline from whatever copy is here.

    `commit` is the one whose page was read, "" for the spec's revision. Raises ModelError,
    where the repository holds nothing that can be loaded too.
    """
    if kind_of(spec.source) is not SourceKind.HUB:
        found = resolve(spec, Precision.BF16, site.cache)
        return folder_tensors(found.folder, found.commit)
    cached = find_cached(spec.source, commit or spec.revision, site.cache)
    here = cached if cached is not None and cached.complete else None
    if here is not None and here.commit in (commit, spec.revision):
        return folder_tensors(here.folder, here.commit)
    if not commit:
        try:
            commit = _commit(spec, site)
        except HubError as error:
            if here is None or error.answered:
                raise
            return folder_tensors(here.folder, here.commit)
    sizes = file_sizes(spec.source, commit, site)
    weights = [n for n in needed_files(spec.source, sizes) if n.endswith(".safetensors")]
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="headers") as pool:
        tables = list(pool.map(lambda name: _header(spec.source, commit, name, site), weights))
    return TensorTable(
        commit=commit,
        tensors=tuple(tensor for table in tables for tensor in table),
        weight_bytes=sum(sizes[name] or 0 for name in weights),
        config=_hub_config(spec.source, commit, sizes, site),
    )


def folder_tensors(folder: Path, commit: str = "") -> TensorTable:
    """Read the table of a model on this machine."""
    names = [path.name for path in folder.iterdir() if path.is_file()]
    files = [folder / n for n in needed_files(folder.name, names) if n.endswith(".safetensors")]
    config = with_quantize_config(
        read_json(folder / "config.json"), read_json(folder / "quantize_config.json")
    )
    return TensorTable(
        commit=commit,
        tensors=tuple(tensor for path in files for tensor in read_header(path)),
        weight_bytes=sum(path.stat().st_size for path in files),
        config=config,
    )


def file_sizes(id_: str, commit: str, site: HubSite) -> dict[str, int | None]:
    """Names and sizes (bytes) of a commit's files."""
    sizes: dict[str, int | None] = {}
    address = f"/api/models/{id_}/tree/{quote(commit, safe='')}?recursive=true"
    for _ in range(_MOST_PAGES):
        entries, address = site.get_list(address, id_=id_, revision=commit)
        for entry in map(mapping, entries):
            size = entry.get("size")
            if entry.get("type") == "file" and text(entry.get("path")):
                sizes[text(entry["path"])] = size if isinstance(size, int) else None
        if not address:
            break
    return sizes


def parse_object(data: bytes | None) -> dict[str, Any]:
    """A JSON object, {} for anything else."""
    try:
        value = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def with_quantize_config(
    config: dict[str, Any], quantize_config: Mapping[str, Any]
) -> dict[str, Any]:
    """The config with AutoGPTQ's separate settings where newer checkpoints have theirs."""
    if quantize_config and not mapping(config.get("quantization_config")):
        return {**config, "quantization_config": {"quant_method": "gptq", **quantize_config}}
    return config


def _commit(spec: ModelSpec, site: HubSite) -> str:
    revision = quote(spec.revision or "main", safe="")
    path = f"/api/models/{spec.source}/revision/{revision}"
    info = mapping(site.get_json(path, spec.source, spec.revision, {"expand": ["sha"]}))
    return text(info.get("sha")) or spec.revision or "main"


def _hub_config(
    id_: str, commit: str, sizes: Mapping[str, int | None], site: HubSite
) -> dict[str, Any]:
    config = parse_object(site.get_file(id_, commit, "config.json", CONFIG_LIMIT))
    if "quantize_config.json" not in sizes:
        return config
    settings = site.get_file(id_, commit, "quantize_config.json", CONFIG_LIMIT)
    return with_quantize_config(config, parse_object(settings))


def _header(id_: str, commit: str, name: str, site: HubSite) -> list[StoredTensor]:
    beginning = site.get_file(id_, commit, name, _FIRST)
    damaged = ModelError(
        f"{name} of {id_} is no safetensors file.", "Choose another repository of the model."
    )
    if beginning is None or len(beginning) < 8:
        raise damaged
    (length,) = struct.unpack("<Q", beginning[:8])
    if length > _MAX_HEADER:
        raise damaged
    header = beginning[8 : 8 + length]
    if len(header) < length:
        rest = site.get_file(id_, commit, name, length - len(header), start=8 + len(header))
        header += rest or b""
    try:
        entries = json.loads(header)
        return [
            StoredTensor(key, str(entry["dtype"]), tuple(map(int, entry["shape"])))
            for key, entry in entries.items()
            if key != "__metadata__"
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged from error
