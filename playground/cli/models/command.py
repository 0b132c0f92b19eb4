"""Finds, shows, downloads and deletes models: `playground models`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playground.cli.console import Console
from playground.cli.models.memory_table import show_memory
from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.core.format import NOTHING, printable, short_count, size_text
from playground.core.memory.plan import rough_verdict
from playground.core.settings import SettingsStore
from playground.core.system.machine import machine_memory
from playground.core.system.paths import full_path
from playground.hub.catalog import ModelPage, ModelRow, SearchFilters, Sort, Where
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.matching import typed_model
from playground.hub.source import BUNDLED, SourceKind, kind_of, parse_hub_id


def models(args: argparse.Namespace) -> int:
    """Run one action and return 0. Raises PlaygroundError."""
    console = Console(json=args.json)
    match args.action:
        case "search":
            return _search(args, console)
        case "list":
            return _rows(_local(args), console)
        case "show":
            return _show(args, console)
        case "download":
            return _download([parse_hub_id(text) for text in args.models], console)
        case "check":
            return _check(args, console)
        case _:
            return _delete(args, console)


def _search(args: argparse.Namespace, console: Console) -> int:
    from playground.hub.local.models import ids_here, local_models
    from playground.hub.site.api import HubSite
    from playground.hub.site.search import Search

    filters = SearchFilters(
        text=args.text,
        task=args.task,
        author=args.author,
        min_parameters=args.min_parameters,
        max_parameters=args.max_parameters,
        licence=args.licence,
        library=args.library,
        gated=args.gated,
        sort=Sort[args.sort.upper()],
        page_size=min(args.limit, 100),
    )
    search, found = Search(filters, HubSite(), ids_here(local_models())), list[ModelRow]()
    while len(found) < args.limit and not search.exhausted:
        found += search.next_page().rows
    return _rows(found[: args.limit], console)


def _rows(rows: Sequence[ModelRow], console: Console) -> int:
    lines = [("Model", "Parameters", "Stored as", "Size", "Here", "Licence", "Downloads", "")]
    free = machine_memory().free
    for row in rows:
        fits = rough_verdict(row.parameters, row.size, free, quantized=bool(row.quantization))
        fits = None if row.problem else fits
        console.event("model", **_row_fields(row), fit=fits.value if fits else None)
        here = "here" if row.where is Where.HUB and row.is_here else ""
        notes = ", ".join(filter(None, ["gated" if row.gated else "", here, row.problem]))
        lines.append(
            (
                _title(row),
                short_count(row.parameters) or NOTHING,
                printable(row.stored) or NOTHING,
                size_text(row.size),
                fits.value if fits else NOTHING,
                printable(row.licence) or NOTHING,
                f"{row.downloads:,}" if row.downloads is not None else NOTHING,
                notes,
            )
        )
    if len(lines) == 1:
        console.note("No model matches.")
    else:
        console.table(lines, left=(0, 2, 4, 5, 7))
    return 0


def _show(args: argparse.Namespace, console: Console) -> int:
    from playground.hub.local.models import folder_row
    from playground.hub.pages.model_page import local_page, read_page
    from playground.hub.site.api import HubSite

    row = next((r for r in _local(args) if args.model in (_title(r), r.spec.source)), None)
    if row is not None and row.where is not Where.CACHE:
        page = local_page(row)
    elif kind_of(args.model) is SourceKind.FOLDER:
        page = local_page(folder_row(full_path(args.model)))
    else:
        page = read_page(parse_hub_id(args.model), HubSite())
    facts = _page_facts(page)
    console.event("page", **facts, **_page_lists(page), card=page.card if args.card else "")
    for name, value in facts.items():
        if value not in ("", None, 0, []):
            shown = size_text(value) if name in _SIZES else str(value)
            console.print(f"{name.replace('_', ' '):16} {printable(shown)}")
    for file in page.files:
        kind = "file" if file.needed else "(not needed)"
        console.print(f"{kind:16} {printable(file.name)}  {size_text(file.size)}")
    for result in page.evaluations:
        parts = (result.dataset, result.metric, result.value, result.precision, result.source)
        console.print(f"{'result':16} {printable(' · '.join(filter(None, parts)))}")
    for note in page.notes:
        console.note(note)
    if not page.row.problem:
        show_memory(page, console, args.context)
    if args.card:
        console.print(f"\n{printable(page.card)}")
    return 0


def _download(specs: Sequence[ModelSpec], console: Console) -> int:
    from playground.cli.requests import show_download
    from playground.hub.downloads.fetch import fetch

    def observe(item: DownloadItem) -> None:
        show_download(item, console)
        if item.state is DownloadState.FINISHED:
            console.event("downloaded", model=item.key, commit=item.commit, folder=item.folder)
            console.print(f"{item.key}: {size_text(item.total_bytes)} in {item.folder}")

    try:
        fetch(specs, observe)
    finally:
        console.end_status()
    return 0


def _check(args: argparse.Namespace, console: Console) -> int:
    from playground.hub.local.check import bytes_to_check, check_files, remove_damaged

    row = _named(args)
    total, done = bytes_to_check(row), 0

    def observe(count: int) -> None:
        nonlocal done
        done += count
        percent = 100 * done // max(total, 1)
        shown = percent if console.live else percent // 10 * 10
        console.status(f"checking {_title(row)} · {shown} %")

    try:
        found = check_files(row, observe)
    finally:
        console.end_status()
    console.event(
        "checked",
        model=_title(row),
        sound=found.sound,
        files=found.checked,
        bytes=found.checked_bytes,
        damaged=list(found.damaged),
        missing=list(found.missing),
        unknown=list(found.unknown),
        fingerprint=found.fingerprint,
    )
    console.print(printable(found.text))
    if found.sound:
        return 0
    if not args.fetch:
        console.note("Add --fetch to download what is damaged or missing again.")
        return 1
    remove_damaged(found)
    return _download([ModelSpec(row.spec.source, row.commit)], console)


def _delete(args: argparse.Namespace, console: Console) -> int:
    from playground.hub.local.deletion import delete, plan_deletion

    row = _named(args)
    plan = plan_deletion(row)
    if not args.yes:
        console.event("would_delete", model=_title(row), freed=plan.freed, keeps=plan.keeps)
        console.print(
            f"Deleting {_title(row)} would free {size_text(plan.freed)}. {plan.keeps}".strip()
        )
        console.note("Add --yes to delete it.")
        return 0
    freed = delete(plan)
    console.event("deleted", model=_title(row), freed=freed)
    console.print(f"Deleted {_title(row)} and freed {size_text(freed)}. {plan.keeps}".strip())
    return 0


def _named(args: argparse.Namespace) -> ModelRow:
    """Return the model on this machine that the command names. Raises ModelError."""
    typed, rows = typed_model(args.model), _local(args)
    found = [r for r in rows if args.model in (_title(r), str(r.folder)) or r.spec == typed]
    if not found and typed is not None and not typed.revision:
        found = [r for r in rows if r.where is Where.CACHE and r.spec.source == typed.source]
    if not found and args.model == BUNDLED:
        found = [r for r in rows if r.where is Where.BUNDLED]
    if not found:
        raise ModelError(
            f"{args.model} is not on this machine.", "`playground models list` shows what is."
        )
    if len(found) > 1:
        raise ModelError(
            f"There are {len(found)} revisions of {args.model} on this machine.",
            f"Name one of them: {', '.join(map(_title, found[:5]))}.",
        )
    return found[0]


def _local(args: argparse.Namespace) -> list[ModelRow]:
    from playground.hub.local.models import local_models

    folders = [Path(folder) for folder in SettingsStore().values.model_folders]
    return local_models([*folders, *map(full_path, args.folder)])


def _title(row: ModelRow) -> str:
    """Return the name by which the command line takes the model."""
    if row.where is Where.FOLDER:
        return row.spec.source
    return f"{row.name}@{row.spec.revision}" if row.spec.revision else row.name


def _row_fields(row: ModelRow) -> dict[str, Any]:
    return {
        "model": _title(row),
        "where": row.where.value,
        "parameters": row.parameters,
        "stored": row.stored,
        "size": row.size,
        "licence": row.licence,
        "downloads": row.downloads,
        "likes": row.likes,
        "updated": row.updated.isoformat() if row.updated else None,
        "gated": row.gated,
        "here": row.is_here,
        "problem": row.problem,
    }


#: The facts of a page that are sizes in bytes.
_SIZES = ("load_bytes", "skipped_bytes")


def _page_facts(page: ModelPage) -> dict[str, Any]:
    return {
        "model": page.row.name,
        "commit": page.commit,
        "address": page.page_url,
        "architecture": page.architecture,
        "parameters": page.row.parameters,
        "stored": page.row.stored,
        "context_length": page.context_length,
        "licence": page.licence,
        "gate": page.gate.value,
        "ask_at": page.ask_at,
        "load_bytes": page.load_bytes,
        "skipped_bytes": page.skipped_bytes,
        "base_models": list(page.base_models),
        "tokenizer": page.tokenizer_class,
        "cannot_load": page.cannot_load or page.row.problem,
    }


def _page_lists(page: ModelPage) -> dict[str, Any]:
    return {
        "files": [{"name": f.name, "size": f.size, "needed": f.needed} for f in page.files],
        "evaluations": [
            {"dataset": r.dataset, "metric": r.metric, "value": r.value, "source": r.source,
             "measured_on": r.measured_on, "precision": r.precision}
            for r in page.evaluations
        ],
        "notes": list(page.notes),
    }  # fmt: skip
