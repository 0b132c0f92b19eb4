"""Decides which models the browser lists, in which order and under which headings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from playground.core.facts import ModelSpec
from playground.core.memory.plan import Fit, rough_verdict
from playground.hub.catalog import ModelRow, SearchFilters, Where
from playground.hub.matching import matches, sorted_rows, typed_model
from playground.hub.source import SourceKind, kind_of

#: Recent models listed above all others; the scope Recent lists the rest of them.
_RECENTS_ABOVE = 4
ON_THE_HUB = "On the Hub"


class Scope(StrEnum):
    """The part of all models that is listed."""

    ALL = "all"
    HERE = "here"
    FAVOURITES = "favourites"
    RECENT = "recent"


@dataclass(frozen=True)
class Heading:
    """A line above the rows of one kind."""

    text: str


@dataclass(frozen=True)
class Entry:
    """A model in the list. `fit` estimates whether its weights fit into the free memory; None
    where too little is known."""

    row: ModelRow
    favourite: bool = False
    fit: Fit | None = None


Line = Heading | Entry


@dataclass(frozen=True)
class FreeMemory:
    """A lane's device, and the bytes on it that another model could use; None: not known."""

    device: str = "cpu"
    free: int | None = None

    def fit(self, row: ModelRow) -> Fit | None:
        """Return the verdict on a row, from the size of its weights alone."""
        if row.problem:
            return None
        return rough_verdict(
            row.parameters, row.size, self.free,
            quantized=bool(row.quantization), device=self.device,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Everything known of models at one moment.

    `here` are the models of this machine, `found` those that the search has found so far, in its
    order, and `facts` what the Hub answered about single models.
    """

    here: Sequence[ModelRow] = ()
    found: Sequence[ModelRow] = ()
    facts: Mapping[ModelSpec, ModelRow] = field(default_factory=dict)
    favourites: Sequence[ModelSpec] = ()
    recents: Sequence[ModelSpec] = ()
    free_memory: FreeMemory = FreeMemory()


def arrange(
    shelf: Shelf,
    filters: SearchFilters,
    scope: Scope,
    fits: Collection[Fit] = (),
    *,
    searched: bool = True,
) -> list[Line]:
    """Return the lines of the list, each model once; with `fits` only models of these verdicts.

    `searched`: the search has ended, so that an id that was typed in full is offered even where
    the Hub did not list it.
    """
    known = {row.spec: row for row in (*shelf.facts.values(), *shelf.found)}
    here = {row.spec: _with_hub_facts(row, known) for row in shelf.here}
    groups: list[tuple[str, list[ModelRow]]] = []

    def marked(specs: Sequence[ModelSpec]) -> list[ModelRow]:
        rows = [here.get(spec) or known.get(spec) or bare_row(spec) for spec in specs]
        return [row for row in rows if matches(row, filters)]

    if scope is Scope.FAVOURITES:
        groups.append(("Favourites", sorted_rows(marked(shelf.favourites), filters.sort)))
    elif scope is Scope.RECENT:
        groups.append(("Recent", marked(shelf.recents)))
    else:
        above = marked(shelf.recents)[:_RECENTS_ABOVE] if scope is Scope.ALL else []
        others = {row.spec: row for row in here.values() if row not in above}
        local = [row for row in others.values() if row.is_here and matches(row, filters)]
        groups += [("Recent", above), ("On this machine", sorted_rows(local, filters.sort))]
        if scope is Scope.ALL:
            groups.append((ON_THE_HUB, _of_hub(shelf, filters, [*above, *local])))
            groups.append(("As typed", _as_typed(groups, filters, searched)))
    starred = set(shelf.favourites)
    lines: list[Line] = []
    for heading, rows in groups:
        entries = [Entry(row, row.spec in starred, shelf.free_memory.fit(row)) for row in rows]
        kept = [entry for entry in entries if not fits or entry.fit in fits]
        lines += [Heading(heading), *kept] if kept else []
    return lines


def bare_row(spec: ModelSpec) -> ModelRow:
    """Return a row for a model of which only the name is known."""
    if kind_of(spec.source) is SourceKind.HUB:
        name = f"{spec.source} @ {short_revision(spec)}" if spec.revision else spec.source
        author = spec.source.split("/")[0] if "/" in spec.source else ""
        key = f"hub:{spec.source}@{spec.revision}" if spec.revision else f"hub:{spec.source}"
        return ModelRow(key=key, spec=spec, where=Where.HUB, name=name, author=author)
    # Shown until the disk has been read.
    folder = Path(spec.source)
    return ModelRow(
        key=f"folder:{folder}", spec=spec, where=Where.FOLDER, name=folder.name, is_here=True
    )


def short_revision(spec: ModelSpec) -> str:
    """Return a revision to show: a commit is shortened to 12 digits."""
    return spec.revision[:12] if len(spec.revision) == 40 else spec.revision


def unknown(lines: Sequence[Line]) -> list[ModelSpec]:
    """Return the listed models of the Hub of which nothing is known yet."""
    return [
        line.row.spec
        for line in lines
        if isinstance(line, Entry)
        and line.row.where is Where.HUB
        and line.row.updated is None
        and not line.row.commit
    ]


def _with_hub_facts(row: ModelRow, known: Mapping[ModelSpec, ModelRow]) -> ModelRow:
    """Return a model of this machine with what the Hub says of it."""
    hub = known.get(ModelSpec(row.spec.source)) if row.where is Where.CACHE else None
    if hub is None:
        return row
    return replace(
        row,
        downloads=hub.downloads,
        likes=hub.likes,
        licence=hub.licence or row.licence,
        task=hub.task or row.task,
        gated=hub.gated,
        updated=hub.updated or row.updated,
    )


def _of_hub(shelf: Shelf, filters: SearchFilters, listed: Sequence[ModelRow]) -> list[ModelRow]:
    """Return the found models that are not `listed` above. A damaged one is in both
    groups: from this one it can be downloaded again."""
    above = {row.spec for row in listed if not row.problem}
    rows = [row for row in shelf.found if row.spec not in above]
    return rows if filters.sort.by_hub else sorted_rows(rows, filters.sort)


def _as_typed(
    groups: Sequence[tuple[str, list[ModelRow]]], filters: SearchFilters, searched: bool
) -> list[ModelRow]:
    spec = typed_model(filters.text)
    listed = [row for _, rows in groups for row in rows]
    if spec is None or not searched or any(row.spec == spec for row in listed):
        return []
    # A part of an id looks like an id, too: where the search found models, those are meant.
    return [bare_row(spec)] if spec.revision or not groups[-1][1] else []
