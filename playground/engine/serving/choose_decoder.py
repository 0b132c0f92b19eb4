"""Which decoder serves a model: a loop on the KV cache where it can, else `generate`."""

from __future__ import annotations

import gc
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from playground.engine.decoding.decoder import Decoder, Tell, silent
from playground.engine.decoding.fastest import fastest
from playground.engine.decoding.generate import GenerateDecoder
from playground.engine.decoding.interruption import InterruptedForwardError
from playground.engine.machine import compat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from playground.core.choices import DecoderChoice
    from playground.engine.cuda_graph.graph_step import Capture


@dataclass(frozen=True)
class ChosenDecoder:
    """A decoder, and how it was chosen.

    `note` says why it is not the fastest kind, "" where it is or was asked for. `step_seconds`
    are seconds a step by the names of the candidates that were timed at load.
    """

    decoder: Decoder
    note: str = ""
    step_seconds: dict[str, float] = field(default_factory=dict)


def choose_decoder(
    model: PreTrainedModel,
    eos_ids: frozenset[int],
    context: int,
    choice: DecoderChoice,
    tell: Tell = silent,
    captures: Sequence[Capture] | None = None,
) -> ChosenDecoder:
    """Return the fastest decoder whose logits agree with the model's forward.

    The model's forward has run before: some kernels repack their weights at their first call.
    `captures` are the ways to capture a step in a CUDA graph; None stands for the device's own.
    """
    if choice == "generate":
        return ChosenDecoder(GenerateDecoder(model, eos_ids))
    reason = _needs_generate(model)
    if reason:
        note = f"Decoded by transformers' generate: the cached loop {reason}."
        return ChosenDecoder(GenerateDecoder(model, eos_ids), note)
    # These are written for the caches of transformers 5.
    from playground.engine.cpu_step.choose_step import choose_step
    from playground.engine.cuda_graph.captures import captures_for
    from playground.engine.decoding.cached_loop import CachedDecoder

    notes = []
    if captures is None:
        captures, note = captures_for(model)
        notes = [note] if note else []
    if captures:
        chosen = _captured(model, eos_ids, context, tell, captures, notes)
        if chosen is not None:
            return chosen
    step = choose_step(model, context)
    decoder = CachedDecoder(model, eos_ids, context, step.taken)
    return ChosenDecoder(decoder, " ".join(notes), step.seconds)


def _needs_generate(model: PreTrainedModel) -> str:
    """Return why the cached loop cannot serve a model; "" where it can."""
    if not compat.MODERN:
        return "needs transformers 5"
    from playground.engine.decoding.kv_cache import can_keep_cache

    reason = can_keep_cache(model)
    if not reason and "logits_to_keep" not in inspect.signature(model.forward).parameters:
        reason = "a forward that gives the logits of every token"
    return f"does not serve {reason}" if reason else ""


def _captured(
    model: PreTrainedModel,
    eos_ids: frozenset[int],
    context: int,
    tell: Tell,
    captures: Sequence[Capture],
    notes: list[str],
) -> ChosenDecoder | None:
    """Capture the step in each way, and return the fastest; None where none works.

    Adds to `notes` why a way failed. The memory of those not taken is given back.
    """
    from playground.engine.cuda_graph.captures import still_works
    from playground.engine.cuda_graph.graph_loop import GraphDecoder

    failed = len(notes)
    decoders: list[GraphDecoder] = []
    for capture in captures:
        try:
            decoders.append(GraphDecoder(model, eos_ids, context, capture, tell))
        except InterruptedForwardError:
            raise
        except Exception as error:
            if not still_works(model.device):
                raise
            notes.append(_failed(error))
    if len(decoders) > 1:
        tell("timing the captured steps")
    found = fastest(decoders, GraphDecoder.time_steps)
    if not still_works(model.device):
        raise next(iter(found.failures.values()))
    notes += map(_failed, found.failures.values())
    decoders.clear()
    gc.collect()
    # Before torch 2.12 emptying the cache raises after a failed capture.
    if model.device.type == "cuda" and len(notes) == failed:
        torch.cuda.empty_cache()
    if found.taken is None:
        return None
    return ChosenDecoder(found.taken, " ".join(notes), found.seconds)


def _failed(error: Exception) -> str:
    cause = next(iter(str(error).splitlines()), "") or type(error).__name__
    return f"One way to capture the decode step failed: {cause}"
