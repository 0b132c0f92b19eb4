"""What the model picker tells of a model that is here. Touches the disk: not for slots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from playground.core.checkpoint import Checkpoint, precision_reasons, read_checkpoint
from playground.core.facts import ModelSpec
from playground.core.precision import Precision
from playground.gui.model_facts import human_bytes


@dataclass(frozen=True)
class Described:
    """A model that can be used: `reasons` says per precision why not, or ""."""

    spec: ModelSpec
    name: str
    folder: Path
    commit: str
    checkpoint: Checkpoint
    reasons: dict[Precision, str]


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
