"""Finds the model to make a quantized copy of; touches the disk, so not for slots."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.facts import ModelSpec
from playground.core.model.checkpoint import Checkpoint
from playground.core.precision import Precision
from playground.core.quantizing.plan import read_plain


@dataclass(frozen=True)
class Found:
    """A model that can be quantized."""

    name: str
    folder: str
    commit: str
    checkpoint: Checkpoint


def look(spec: ModelSpec) -> Found:
    """Find and describe a model. Raises ModelError where it cannot be quantized."""
    # Imported here: the Hub's library would cost the window a good part of its first second.
    from playground.hub.local.resolve import resolve

    resolved = resolve(spec, Precision.BF16)
    checkpoint = read_plain(resolved.folder, resolved.name)
    return Found(resolved.name, str(resolved.folder), resolved.commit, checkpoint)
