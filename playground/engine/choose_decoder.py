"""Which decoder serves a model: the own loop where it can, else transformers' generate."""

from __future__ import annotations

import inspect
from typing import Any

from playground.engine import compat
from playground.engine.decoding import Decoder, GenerateDecoder


def choose_decoder(
    model: Any, eos_ids: frozenset[int], context: int, wanted: str
) -> tuple[Decoder, str]:
    """Return a decoder, and why it is `generate` where nobody asked for that ("" if not).

    `wanted` is "auto" or "generate". The model has run once: some kernels repack their
    weights at their first call.
    """
    if wanted == "generate":
        return GenerateDecoder(model, eos_ids), ""
    if not compat.MODERN:
        note = "Decoded by transformers' generate: the own loop needs transformers 5."
        return GenerateDecoder(model, eos_ids), note
    # These are written for the caches of transformers 5.
    from playground.engine.kept_cache import can_keep_cache
    from playground.engine.lean_step import lean_step
    from playground.engine.own_loop import OwnLoopDecoder

    reason = can_keep_cache(model)
    if not reason and "logits_to_keep" not in inspect.signature(model.forward).parameters:
        reason = "a forward that gives the logits of every token"
    if reason:
        note = f"Decoded by transformers' generate: the own loop does not serve {reason}."
        return GenerateDecoder(model, eos_ids), note
    return OwnLoopDecoder(model, eos_ids, context, lean_step(model, context)), ""
