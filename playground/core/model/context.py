"""The longest text that a model reads, worked out from its config.json."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from playground.core.model.counts import positive_int

#: Names that different model families use for the number of positions. Where several are
#: stated, the smallest holds.
_POSITIONS = (
    "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length",
    "max_seq_length", "seq_length", "max_target_positions",
)  # fmt: skip
#: Scalings of rotary positions that read `factor` times the positions of the training. With the
#: other ones, `max_position_embeddings` is the scaled number.
_STRETCHING = ("linear", "dynamic", "yarn")
#: Their configs state the scaled number with every scaling.
_SCALED_ALREADY = ("gemma3", "gemma4")
_MOST = 10**9  # tokens; a larger number is no context


def context_length(config: Mapping[str, Any]) -> int:
    """Return the context in tokens, 0 where the config.json does not state one.

    Rotary positions that are scaled read `factor` times `original_max_position_embeddings`, or
    times the stated context where that is missing.
    """
    inner = config.get("text_config")
    text = inner if isinstance(inner, Mapping) else config
    stated = [count for name in _POSITIONS if (count := positive_int(text, name))]
    if not stated:
        return 0
    context = min(stated)
    if str(text.get("model_type", "")).startswith(_SCALED_ALREADY):
        return context
    scaled = [_scaled(scaling, context) for scaling in _scalings(text)]
    return max([context, *scaled])


def _scalings(text: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the scalings of rotary positions: one, or one for each kind of layer."""
    for name in ("rope_scaling", "rope_parameters"):
        value = text.get(name)
        if isinstance(value, Mapping):
            yield value
            yield from (inner for inner in value.values() if isinstance(inner, Mapping))


def _scaled(scaling: Mapping[str, Any], context: int) -> int:
    kind = scaling.get("rope_type", scaling.get("type"))
    factor = scaling.get("factor")
    if kind not in _STRETCHING or isinstance(factor, bool) or not isinstance(factor, int | float):
        return 0
    if not 1 <= factor <= _MOST:  # false for NaN too
        return 0
    original = positive_int(scaling, "original_max_position_embeddings") or context
    return min(math.floor(original * factor), _MOST)
