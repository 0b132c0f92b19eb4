"""How much a model's attention keeps of every token: the key-value cache's sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SMALLEST_BUCKET = 512  # tokens
_ALIGNMENT = 64  # tokens; attention kernels read the cache in tiles
#: Names of config.json for the same thing, in different families.
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_WIDTH = ("hidden_size", "n_embd", "d_model", "n_embed")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")
#: Layers that keep a state of one size, however long the text.
_STATEFUL = ("linear_attention", "mamba", "conv", "recurrent")


def cache_bucket(tokens: int, context: int = 0) -> int:
    """Return the length, in tokens, of the kept cache that holds `tokens`.

    Lengths double from 512, so that few of them are ever made; the longest is the model's
    `context` (0: unknown, no limit) rounded up to a multiple of 64. Raises ValueError where
    the tokens are more than the context.
    """
    if 0 < context < tokens:
        raise ValueError(f"{tokens} tokens are more than the context of {context}.")
    bucket = _SMALLEST_BUCKET
    while bucket < tokens:
        bucket *= 2
    longest = -(-context // _ALIGNMENT) * _ALIGNMENT
    return min(bucket, longest) if context > 0 else bucket


@dataclass(frozen=True)
class CacheShape:
    """Values that the cache keeps: of each token, over all layers, keys and values together.

    `sliding` counts the layers that keep no more than the last `window` tokens.
    """

    full: int
    sliding: int = 0
    window: int = 0

    @property
    def buckets(self) -> bool:
        """Whether the own loop serves it, whose cache grows in buckets; `generate`'s does not."""
        return not self.sliding

    def held_bytes(self, tokens: int, element_bytes: int, context: int = 0) -> int:
        """Bytes of the cache that is there for `tokens`, empty slots included."""
        if self.buckets:
            # A text longer than the context is refused before it is read.
            tokens = cache_bucket(min(tokens, context) if context else tokens, context)
        return self.read_bytes(tokens, element_bytes)

    def read_bytes(self, tokens: int, element_bytes: int) -> int:
        """Bytes of `tokens` that count: what attention reads for the next one."""
        kept = min(tokens, self.window)
        return (self.full * tokens + self.sliding * kept) * element_bytes


def cache_shape(config: Mapping[str, Any]) -> CacheShape | None:
    """Work the cache out of a config.json; None where it does not tell enough.

    Keys and values are `kv heads × head_dim` each (grouped queries share heads). Models with
    latent attention keep `kv_lora_rank + qk_rope_head_dim` a layer, as transformers stores it.
    """
    inner = config.get("text_config")
    text = inner if isinstance(inner, Mapping) else config
    layers, heads = whole(text, *_LAYERS), whole(text, *_HEADS)
    if not layers or not heads:
        return None
    if rank := whole(text, "kv_lora_rank"):
        values = rank + whole(text, "qk_rope_head_dim")
    else:
        head_dim = whole(text, "head_dim", "kv_channels") or whole(text, *_WIDTH) // heads
        values = 2 * _kv_heads(text, heads) * head_dim
    kinds = _layer_kinds(text, layers)
    full = sum(kind == "full" for kind in kinds)
    sliding = sum(kind == "sliding" for kind in kinds)
    window = whole(text, "sliding_window", "attention_chunk_size") if sliding else 0
    return CacheShape(full * values, sliding * values, window) if values else None


def _kv_heads(text: Mapping[str, Any], heads: int) -> int:
    if text.get("multi_query") and not text.get("new_decoder_architecture"):
        return 1
    return whole(text, *_KV_HEADS) or heads


def _layer_kinds(text: Mapping[str, Any], layers: int) -> list[str]:
    """ "full", "sliding" or "" (a state of one size) for every layer."""
    window = whole(text, "sliding_window", "attention_chunk_size")
    stated = text.get("layer_types")
    if isinstance(stated, list) and len(stated) == layers:
        kinds = []
        for kind in map(str, stated):
            if any(name in kind for name in _STATEFUL):
                kinds.append("")
            else:
                limited = window and ("sliding" in kind or "chunked" in kind)
                kinds.append("sliding" if limited else "full")
        return kinds
    if not window or text.get("use_sliding_window") is False:
        return ["full"] * layers
    model = str(text.get("model_type", ""))
    if model.startswith("qwen2"):
        # Absent, its class takes False.
        first = whole(text, "max_window_layers") if text.get("use_sliding_window") else layers
        return ["full" if i < first else "sliding" for i in range(layers)]
    every = {"gemma2": 2, "gemma3": 6}.get(model.removesuffix("_text"), 0)
    every = whole(text, "sliding_window_pattern") or every
    return ["full" if every and not (i + 1) % every else "sliding" for i in range(layers)]


def whole(config: Mapping[str, Any], *names: str) -> int:
    """The first of the values that is a positive whole number, else 0."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0
