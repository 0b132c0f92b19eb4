"""Reads everything known about one model, from the Hub or from its files on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from huggingface_hub import constants

from playground.core.errors import FileError, ModelError
from playground.core.facts import ModelSpec
from playground.core.model.context import context_length
from playground.core.model.counts import check_counts
from playground.core.system import reader
from playground.core.system.reader import file_size, read_bytes
from playground.hub.cards import CARD_BYTES, clean_card, parse_yaml, split_card
from playground.hub.catalog import EvaluationResult, Gate, ModelFile, ModelPage, ModelRow, Where
from playground.hub.downloads.needed_files import needed_files
from playground.hub.errors import HubError
from playground.hub.local.cache import find_cached
from playground.hub.local.models import cached_row
from playground.hub.pages.evaluations import from_eval_results, from_model_index
from playground.hub.pages.tensor_tables import CONFIG_LIMIT, file_sizes
from playground.hub.site.api import HubSite
from playground.hub.site.rows import (
    ROW_PROPERTIES,
    hub_row,
    items,
    licence,
    mapping,
    parse_object,
    text,
    texts,
    whole,
    with_quantize_config,
)
from playground.hub.source import check_hub_id, check_revision

_PAGE_PROPERTIES = (*ROW_PROPERTIES, "cardData", "evalResults", "model-index", "siblings")
_TEMPLATE_LIMIT = 1024 * 1024
_RESULTS_LIMIT = 256 * 1024
_MOST_RESULT_FILES = 20
_FILES = (
    ("config.json", CONFIG_LIMIT),
    ("tokenizer_config.json", CONFIG_LIMIT),
    ("README.md", CARD_BYTES),
    ("chat_template.jinja", _TEMPLATE_LIMIT),
    ("quantize_config.json", CONFIG_LIMIT),
)


@dataclass(frozen=True)
class _Found:
    """The raw parts of a page, from the Hub or from a folder."""

    sizes: Mapping[str, int | None]
    contents: Mapping[str, bytes | None]
    tags: Sequence[str] = ()
    info: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_page(spec: ModelSpec, site: HubSite) -> ModelPage:
    """Read the page of a model on the Hub, with about six small requests.

    Where the Hub cannot be asked and the model is on this machine, its copy is described, and
    `notes` says so. Raises ModelError.
    """
    check_hub_id(spec.source)
    check_revision(spec.revision)
    try:
        info = _info(spec, site)
    except HubError as error:
        cached = find_cached(spec.source, spec.revision, site.cache)
        if error.answered or cached is None:
            raise
        page = local_page(replace(cached_row(cached), spec=spec))
        return replace(page, notes=(f"{error.message} This is the copy on this machine.",))
    row = hub_row(info)
    commit = text(info.get("sha"))
    if row is None or not commit:
        raise ModelError(f"The Hub names no commit of {spec.source}.", "Try again.")
    found = _read_files(spec, commit, info, site)
    cached = find_cached(spec.source, commit, site.cache)
    row = replace(row, spec=spec, commit=commit, is_here=cached is not None and cached.complete)
    gated = text(info.get("gated"))
    gate = Gate(gated) if gated in ("auto", "manual") else Gate.OPEN
    return replace(
        _page(spec, row, found),
        gate=gate,
        ask_at=site.page_url(spec.source) if gate is not Gate.OPEN else "",
        page_url=site.page_url(spec.source),
    )


def local_page(row: ModelRow) -> ModelPage:
    """Describe a model of this machine from its folder, without the network.

    Raises ModelError where the folder is gone.
    """
    folder = row.folder
    if folder is None or not folder.is_dir():
        raise ModelError(f"{row.name} is not on this machine any more.", "Refresh the list.")
    sizes: dict[str, int | None] = {}
    for path in sorted(folder.rglob("*"))[:5000]:
        with contextlib.suppress(FileError):
            sizes[path.relative_to(folder).as_posix()] = file_size(path)
    contents = {name: _beginning(folder / name, limit) for name, limit in _FILES}
    page = _page(row.spec, row, _Found(sizes, contents))
    if row.where is Where.CACHE:
        page = replace(page, page_url=f"{constants.ENDPOINT}/{row.name}")
    return page


def _info(spec: ModelSpec, site: HubSite) -> Mapping[str, object]:
    path = f"/api/models/{spec.source}"
    if spec.revision:
        path += f"/revision/{quote(spec.revision, safe='')}"
    try:
        found = site.get_json(path, spec.source, spec.revision, {"expand": list(_PAGE_PROPERTIES)})
    except HubError as error:
        if error.status != 400:
            raise
        # A mirror may know fewer properties.
        found = site.get_json(path, spec.source, spec.revision)
    return mapping(found)


def _read_files(spec: ModelSpec, commit: str, info: Mapping[str, object], site: HubSite) -> _Found:
    """Read the small files of a commit in parallel; what cannot be read becomes a note."""
    notes: list[str] = []
    unread: dict[str, list[str]] = {}  # names of files, by the reason
    siblings = [text(mapping(s).get("rfilename")) for s in items(info.get("siblings"))]

    def sizes() -> dict[str, int | None]:
        try:
            return file_sizes(spec.source, commit, site)
        except ModelError as error:
            notes.append(f"The sizes of the files are not known: {error.message}")
            return dict.fromkeys(filter(None, siblings))

    def content(name: str, limit: int) -> bytes | None:
        if siblings and name not in siblings:
            return None
        try:
            return site.get_file(spec.source, commit, name, limit)
        except ModelError as error:
            unread.setdefault(error.message, []).append(name)
            return None

    limits = [*_FILES]
    if not info.get("evalResults"):
        results = [n for n in siblings if n.startswith(".eval_results/") and n.endswith(".yaml")]
        limits += [(name, _RESULTS_LIMIT) for name in results[:_MOST_RESULT_FILES]]
    with ThreadPoolExecutor(4, thread_name_prefix="page") as pool:
        listed = pool.submit(sizes)
        contents = {name: pool.submit(content, name, limit) for name, limit in limits}
        found = {name: future.result() for name, future in contents.items()}
        all_sizes = listed.result()
        notes += (f"{_listed(names)} could not be read: {why}" for why, names in unread.items())
        return _Found(all_sizes, found, texts(info.get("tags")), info, _each_once(notes))


def _page(spec: ModelSpec, row: ModelRow, found: _Found) -> ModelPage:
    config, problem = _config(found)
    tokenizer = parse_object(found.contents.get("tokenizer_config.json"))
    readme = (found.contents.get("README.md") or b"").decode("utf-8", "replace")
    front, prose = split_card(readme)
    front = mapping(found.info.get("cardData")) or front
    card, cut = clean_card(prose)
    inner = mapping(config.get("text_config")) or config
    base, relation = _base_models(front, found.tags)
    files, cannot_load = _files(row.name, found.sizes)
    cannot_load = cannot_load or problem
    evaluations = _evaluations(row.name, front, found)
    notes = [*found.notes]
    if row.quantization and any(not result.precision for result in evaluations):
        notes.append(
            "This version is quantized, and its card does not say that the results were measured "
            "on it: they may be those of the model it was made from."
        )
    stated = licence({"cardData": front}, found.tags) or row.licence
    needed = [file.size for file in files if file.needed]
    return ModelPage(
        spec=spec,
        row=replace(row, licence=stated),
        commit=row.commit,
        card=card,
        card_cut=cut or len(readme.encode()) >= CARD_BYTES,
        files=files,
        load_bytes=None if None in needed or not needed else sum(s or 0 for s in needed),
        skipped_bytes=sum(file.size or 0 for file in files if not file.needed),
        architecture=next(iter(texts(config.get("architectures"))), ""),
        model_type=text(config.get("model_type")),
        context_length=context_length(inner),
        vocabulary=_first_whole(inner, "vocab_size"),
        licence=stated,
        chat_template=_chat_template(tokenizer, found.contents.get("chat_template.jinja")),
        tokenizer_class=text(tokenizer.get("tokenizer_class")),
        remote_code="auto_map" in config,
        base_models=base,
        base_relation=relation,
        evaluations=evaluations,
        config=config,
        cannot_load=cannot_load,
        notes=tuple(notes),
    )


def _config(found: _Found) -> tuple[dict[str, object], str]:
    """Return a model's config, or {} and what is wrong with it."""
    data = found.contents.get("config.json")
    try:
        config = reader.parse_object(data or b"{}", "config.json")
        check_counts(config)
    except FileError as error:
        return {}, str(error)
    return with_quantize_config(
        config, parse_object(found.contents.get("quantize_config.json"))
    ), ""


def _files(name: str, sizes: Mapping[str, int | None]) -> tuple[tuple[ModelFile, ...], str]:
    try:
        needed, problem = set(needed_files(name, sizes)), ""
    except ModelError as error:
        needed, problem = set(), f"{error.message} {error.remedy}"
    files = [ModelFile(file, size, file in needed) for file, size in sizes.items()]
    return tuple(sorted(files, key=lambda f: (not f.needed, f.name))), problem


def _evaluations(
    name: str, front: Mapping[str, object], found: _Found
) -> tuple[EvaluationResult, ...]:
    results = from_eval_results(found.info.get("evalResults"), name)
    for file, data in found.contents.items():
        if file.startswith(".eval_results/") and data:
            results += from_eval_results(parse_yaml(data.decode("utf-8", "replace")), name)
    index = found.info.get("model-index") or front.get("model-index")
    return results + from_model_index(index, name)


def _base_models(front: Mapping[str, object], tags: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """Return the models this one was made from, and how."""
    relation, found = "", []
    for tag in tags:
        parts = tag.split(":")
        if parts[0] == "base_model" and len(parts) == 3:
            relation = parts[1]
            found.append(parts[2])
        elif parts[0] == "base_model" and len(parts) == 2:
            found.append(parts[1])
    stated = text(front.get("base_model_relation"))
    return _each_once([*found, *_one_or_more(front.get("base_model"))]), relation or stated


def _chat_template(tokenizer: Mapping[str, object], file: bytes | None) -> str:
    if file:
        return file.decode("utf-8", "replace")
    template = tokenizer.get("chat_template")
    if isinstance(template, list):  # several, by name
        named = {text(mapping(t).get("name")): mapping(t).get("template") for t in template}
        template = named.get("default") or next(iter(named.values()), "")
    return template if isinstance(template, str) else ""


def _one_or_more(value: object) -> tuple[str, ...]:
    found = texts(value) if isinstance(value, list) else (text(value),)
    return tuple(filter(None, found))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _each_once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, values)))


def _first_whole(config: Mapping[str, object], *names: str) -> int:
    return next((n for n in map(whole, map(config.get, names)) if n), 0)


def _beginning(path: Path, limit: int) -> bytes | None:
    try:
        return read_bytes(path, limit, cut=True)
    except FileError:
        return None
