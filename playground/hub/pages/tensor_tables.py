"""Reads a model's tensors from its files' headers, without downloading the weights."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from playground.core.errors import FileError, ModelError
from playground.core.facts import ModelSpec
from playground.core.model.counts import check_counts
from playground.core.model.safetensors_header import (
    StoredTensor,
    header_length,
    parse_header,
    read_header,
)
from playground.core.precision import Precision
from playground.core.system import reader
from playground.hub.catalog import TensorTable
from playground.hub.downloads.needed_files import needed_files
from playground.hub.errors import HubError
from playground.hub.local.cache import find_cached
from playground.hub.local.models import read_config
from playground.hub.local.resolve import resolve
from playground.hub.site.api import HubSite
from playground.hub.site.rows import mapping, text, with_quantize_config
from playground.hub.source import SourceKind, kind_of

CONFIG_LIMIT = 4 * 1024 * 1024
#: Bytes of a first request, which hold nearly every header (as in the Hub's library).
_FIRST = 100_000
_WORKERS = 8
_MOST_PAGES = 20


def read_tensors(spec: ModelSpec, site: HubSite, commit: str = "") -> TensorTable:
    """Read a model's tensor table, from this machine if that version is here, else from the Hub.

    Offline, any copy on this machine serves. `commit` is the version to read, "" the spec's
    revision. Raises ModelError, also where the repository holds nothing that can be loaded.
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
    """Read the tensor table of a model on this machine."""
    names = [path.name for path in folder.iterdir() if path.is_file()]
    files = [folder / n for n in needed_files(folder.name, names) if n.endswith(".safetensors")]
    return TensorTable(
        commit=commit,
        tensors=tuple(tensor for path in files for tensor in read_header(path)),
        weight_bytes=sum(path.stat().st_size for path in files),
        config=read_config(folder),
    )


def file_sizes(id_: str, commit: str, site: HubSite) -> dict[str, int | None]:
    """Return the names and sizes (bytes, None: unknown) of a commit's files."""
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


def _commit(spec: ModelSpec, site: HubSite) -> str:
    revision = quote(spec.revision or "main", safe="")
    path = f"/api/models/{spec.source}/revision/{revision}"
    info = mapping(site.get_json(path, spec.source, spec.revision, {"expand": ["sha"]}))
    return text(info.get("sha")) or spec.revision or "main"


def _hub_config(
    id_: str, commit: str, sizes: Mapping[str, int | None], site: HubSite
) -> dict[str, object]:
    def read(name: str) -> dict[str, object]:
        data = site.get_file(id_, commit, name, CONFIG_LIMIT)
        return reader.parse_object(data or b"{}", name)

    config = read("config.json")
    check_counts(config)
    beside = read("quantize_config.json") if "quantize_config.json" in sizes else {}
    return with_quantize_config(config, beside)


def _header(id_: str, commit: str, name: str, site: HubSite) -> list[StoredTensor]:
    beginning = site.get_file(id_, commit, name, _FIRST) or b""
    try:
        length = header_length(beginning, name)
        header = beginning[8 : 8 + length]
        if len(header) < length:
            rest = site.get_file(id_, commit, name, length - len(header), start=8 + len(header))
            header += rest or b""
        return parse_header(header, name)[0]
    except FileError as error:
        raise ModelError(
            f"{name} of {id_} is not a safetensors file.",
            "Choose another repository of the model.",
            error.message,
        ) from error
