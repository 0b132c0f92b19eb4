"""Tells which layers of a model have attention, by what families state in config.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from playground.core.model.counts import positive_int

#: Lists with the kind of each layer.
_LISTS = ("layer_types", "layers_block_type")
#: Lists of the numbers of the layers that have attention …
_NUMBERS = ("attn_layer_indices", "full_attn_idxs")
#: … and the one inside Kimi's `linear_attn_config`.
_INSIDE = "full_attn_layers"
#: Kinds of layers that store nothing for each token: a state of constant size, or none at all.
_WITHOUT = ("linear", "mamba", "conv", "recurrent", "mlp", "moe")
#: The character of a layer with attention in Nemotron-H's pattern.
_PATTERN = "*"
_WINDOW = ("sliding_window", "attention_window_size", "attention_chunk_size")


class AttentionLayers(NamedTuple):
    """Numbers of layers: with full attention, with sliding attention, and without any.

    `window`: the tokens that sliding attention sees.
    """

    full: int
    sliding: int
    without: int
    window: int


def stated_layers(text: Mapping[str, Any]) -> int:
    """Return the number of layers by the list of their kinds, 0 where there is none."""
    return next((len(text[name]) for name in _LISTS if isinstance(text.get(name), list)), 0)


def attention_layers(text: Mapping[str, Any], layers: int) -> AttentionLayers:
    """Count the layers of a language model's config by their attention; `layers` are all."""
    window = positive_int(text, *_WINDOW)
    kinds = _kinds(text, layers)
    if kinds is None:
        full = _full(text, layers, window)
        return AttentionLayers(full, layers - full, 0, window if layers > full else 0)
    attending = {
        kind: count for kind, count in kinds.items() if not any(name in kind for name in _WITHOUT)
    }
    limited = {kind for kind in attending if "sliding" in kind or "chunked" in kind}
    sliding = sum(attending[kind] for kind in limited) if window else 0
    full = sum(attending.values()) - sliding
    return AttentionLayers(full, sliding, layers - full - sliding, window if sliding else 0)


def _kinds(text: Mapping[str, Any], layers: int) -> Counter[str] | None:
    """Return the number of layers of each kind; None where the config does not tell them apart."""
    for name in _LISTS:
        found = text.get(name)
        if isinstance(found, list) and len(found) == layers:
            # Gemma 3n's last layers read what earlier ones have stored.
            own = max(0, layers - positive_int(text, "num_kv_shared_layers"))
            return Counter(map(str, found[:own]))
    if isinstance(repeated := text.get("block_types"), list) and repeated:
        times, rest = divmod(layers, len(repeated))
        found = Counter(map(str, repeated[:rest]))
        for kind in map(str, repeated):
            found[kind] += times
        found["sliding"] = found.pop("attention", 0)
        return found
    if isinstance(pattern := text.get("hybrid_override_pattern"), str) and len(pattern) == layers:
        return _some(pattern.count(_PATTERN), layers)
    for name in _NUMBERS:
        if isinstance(numbers := text.get(name), list):
            return _some(len(set(map(str, numbers))), layers)
    inner = text.get("linear_attn_config")
    if isinstance(inner, Mapping) and isinstance(numbers := inner.get(_INSIDE), list):
        return _some(len(set(map(str, numbers))), layers)
    if every := positive_int(text, "full_attention_interval"):
        return _some(layers // every, layers)
    offset = text.get("attn_layer_offset")
    if (period := positive_int(text, "attn_layer_period")) and isinstance(offset, int):
        return _some(len(range(max(0, offset), layers, period)), layers)
    return None


def _some(attending: int, layers: int) -> Counter[str]:
    full = min(attending, layers)
    return Counter({"full": full, "linear": layers - full})


def _full(text: Mapping[str, Any], layers: int, window: int) -> int:
    """Return the number of layers with full attention where all layers have attention."""
    if not window or text.get("use_sliding_window") is False:
        return layers
    model = str(text.get("model_type", ""))
    if model.startswith("qwen2"):
        # Where the config lacks use_sliding_window, transformers takes False.
        limited = text.get("use_sliding_window")
        return min(positive_int(text, "max_window_layers") if limited else layers, layers)
    every = {"gemma2": 2, "gemma3": 6}.get(model.removesuffix("_text"), 0)
    every = positive_int(text, "sliding_window_pattern") or every
    return layers // every if every else 0
