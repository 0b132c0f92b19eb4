"""Which decoder serves a model: the own loop where it can, else transformers' generate."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from playground.engine.decoding.decoder import Decoder, Tell, silent
from playground.engine.decoding.generate import GenerateDecoder
from playground.engine.decoding.interruption import InterruptedForwardError
from playground.engine.machine import compat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playground.engine.cuda_graph.graph_step import Capture


def choose_decoder(
    model: Any,
    eos_ids: frozenset[int],
    context: int,
    wanted: str,
    tell: Tell = silent,
    captures: Sequence[Capture] | None = None,
) -> tuple[Decoder, str]:
    """Return a decoder, and why it is not the fastest where nobody asked for that ("" if not).

    `wanted` is a DecoderChoice: "exact" takes the own loop only as far as it gives the logits of
    the model's forward bit for bit, and so captures nothing; "fast" asks on a CPU for the
    fastest step whatever its order of sums. The model has run once: some
    kernels repack their weights at their first call. `captures` are tried in turn; by default
    the device's own.
    """
    if wanted == "generate":
        return GenerateDecoder(model, eos_ids), ""
    if not compat.MODERN:
        note = "Decoded by transformers' generate: the own loop needs transformers 5."
        return GenerateDecoder(model, eos_ids), note
    # These are written for the caches of transformers 5.
    from playground.engine.cpu_step.step import fused_step
    from playground.engine.cuda_graph.captures import captures_for, still_works
    from playground.engine.cuda_graph.graph_loop import GraphDecoder
    from playground.engine.decoding.cached_loop import CachedDecoder
    from playground.engine.decoding.kv_cache import can_keep_cache

    reason = can_keep_cache(model)
    if not reason and "logits_to_keep" not in inspect.signature(model.forward).parameters:
        reason = "a forward that gives the logits of every token"
    if reason:
        note = f"Decoded by transformers' generate: the own loop does not serve {reason}."
        return GenerateDecoder(model, eos_ids), note
    note = ""
    if wanted == "exact":
        captures = ()
    elif captures is None:
        captures, note = captures_for(model)
    notes = [note] if note else []
    for capture in captures:
        try:
            return GraphDecoder(model, eos_ids, context, capture, tell), " ".join(notes)
        except InterruptedForwardError:
            raise
        except Exception as error:
            if not still_works(model.device):
                raise
            cause = next(iter(str(error).splitlines()), "") or type(error).__name__
            notes.append(f"One way to capture the decode step failed: {cause}")
    step = fused_step(model, context, wanted)
    return CachedDecoder(model, eos_ids, context, step), " ".join(notes)
