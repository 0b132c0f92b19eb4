"""What the model picker offers and tells of a model. Touches the disk: never call it in a slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playground.core.checkpoint import Checkpoint, precision_reasons, read_checkpoint
from playground.core.facts import ModelSpec
from playground.core.precision import Precision
from playground.gui.model_facts import human_bytes
from playground.hub.source import BUNDLED, SourceKind, kind_of


@dataclass(frozen=True)
class Choice:
    """One row of the list: the model, two lines of text and the heading it stands under."""

    spec: ModelSpec
    title: str
    subtitle: str
    section: str
    usable: bool = True


@dataclass(frozen=True)
class Described:
    """A model that can be used: `reasons` says per precision why not, or ""."""

    spec: ModelSpec
    name: str
    folder: Path
    commit: str
    checkpoint: Checkpoint
    reasons: dict[Precision, str]


def list_choices(
    recents: Sequence[ModelSpec], opened: Sequence[ModelSpec] = (), cache: Path | None = None
) -> list[Choice]:
    """List what can be chosen: bundled, just opened, recent, in the Hub's cache; each once."""
    # Imported here, off the GUI thread: the Hub's library takes a while.
    from playground.hub.cache import CachedModel, cached_models, find_cached
    from playground.hub.resolve import BUNDLED_NAME

    choices = [
        Choice(ModelSpec(BUNDLED), BUNDLED_NAME, "Comes with the playground", "Included"),
    ]
    cached: dict[ModelSpec, CachedModel] = {}
    for model in cached_models(cache):
        revision = "" if "main" in model.refs else (model.refs or (model.commit,))[0]
        cached[ModelSpec(model.id, revision)] = model
    listed = {choices[0].spec}
    for section, specs in (("Opened", opened), ("Recent", recents), ("On this machine", cached)):
        for spec in specs:
            if spec in listed:
                continue
            listed.add(spec)
            found = cached.get(spec)
            if found is None and kind_of(spec.source) is SourceKind.HUB:
                found = find_cached(spec.source, spec.revision, cache)
            if found is not None:
                what = human_bytes(found.size) if found.complete else found.problem
                choices.append(Choice(spec, _hub_title(spec), what, section, found.complete))
            else:
                choices.append(_uncached(spec, section))
    return choices


def _uncached(spec: ModelSpec, section: str) -> Choice:
    if kind_of(spec.source) is SourceKind.FOLDER:
        folder = Path(spec.source).expanduser()
        there = folder.is_dir()
        where = str(folder.parent) if there else f"This folder is gone: {folder}"
        return Choice(spec, folder.name or str(folder), where, section, there)
    return Choice(spec, _hub_title(spec), "Not on this machine", section, usable=False)


def _hub_title(spec: ModelSpec) -> str:
    revision = spec.revision[:12] if len(spec.revision) == 40 else spec.revision
    return f"{spec.source} @ {revision}" if revision else spec.source


def describe(spec: ModelSpec, cache: Path | None = None) -> Described:
    """Find out about a model. Raises ModelError with what is wrong and the cure."""
    from playground.hub.resolve import resolve

    found = resolve(spec, Precision.BF16, cache)
    checkpoint = read_checkpoint(found.folder)
    reasons = precision_reasons(checkpoint, "cpu", None)
    return Described(spec, found.name, found.folder, found.commit, checkpoint, reasons)


def fact_lines(model: Described) -> list[tuple[str, str]]:
    """Label and value of each fact, in the order to show them."""
    point = model.checkpoint
    stored = point.stored_dtype
    if point.quantization:
        stored = f"{point.quantization.upper()} (tensors mostly {point.stored_dtype})"
    context = f"{point.context_length:,} tokens" if point.context_length else "not stated"
    return [
        ("Architecture", point.architecture),
        ("Parameters", human_count(point.parameters)),
        ("Stored as", stored),
        ("Context", context),
        ("Weights", human_bytes(point.weight_bytes)),
        ("Chat template", "yes" if point.has_chat_template else "none: raw text only"),
        ("Version", model.commit[:19]),
        ("Folder", str(model.folder)),
    ]


def sentences(model: Described) -> list[str]:
    """What to know before choosing it, in whole sentences."""
    told = []
    if model.checkpoint.remote_code:
        told.append("It brings Python code of its own, which runs only if you agree to it.")
    if model.checkpoint.quantization and all(model.reasons.values()):
        told.append(next(iter(model.reasons.values())))
    return told


def precision_lines(model: Described) -> str:
    """The precisions this model can have, on one line."""
    names = [precision.label for precision, reason in model.reasons.items() if not reason]
    return ", ".join(names) or "none that the playground knows"


def human_count(count: int) -> str:
    """Parameters for people: "5.9 million", "7.24 billion"."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.3g} billion"
    return f"{count / 1e6:.3g} million" if count >= 1_000_000 else f"{count:,}"
