"""The size of a model's KV cache, worked out from its config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playground.core.model.counts import positive_int
from playground.core.model.layer_kinds import attention_layers, stated_layers

_SMALLEST_BUCKET = 512  # tokens
_ALIGNMENT = 64  # tokens; attention kernels read the cache in tiles
#: Names that different model families use in config.json for the same value.
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_WIDTH = ("hidden_size", "n_embd", "d_model", "n_embed")
_HEAD_DIM = ("head_dim", "attention_head_dim", "kv_channels")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")
#: Families that have no other layers.
_WITHOUT_ATTENTION = frozenset({"mamba", "mamba2", "falcon_mamba"})


def cache_bucket(tokens: int, context: int = 0) -> int:
    """Return the length, in tokens, of the KV cache that is allocated for `tokens`.

    Lengths double from 512, so that few different ones occur; the longest is the model's
    `context` rounded up to a multiple of 64 (no limit where it is 0: unknown). Raises
    ValueError where `tokens` exceed the context.
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
    """Numbers that the KV cache stores for each token, summed over layers, keys and values.

    `full`: in layers with full attention; `sliding`: in layers that keep only the last `window`
    tokens. `hybrid`: other layers store nothing for a token.
    """

    full: int
    sliding: int = 0
    window: int = 0
    hybrid: bool = False

    @property
    def buckets(self) -> bool:
        """Whether it is allocated in buckets, as the cached loop does; `generate` does not."""
        return not self.sliding and not self.hybrid

    def allocated_bytes(self, tokens: int, element_bytes: int, context: int = 0) -> int:
        """Return the bytes allocated for `tokens`, empty slots included."""
        if self.buckets:
            # A longer text than the context is refused before its prefill.
            tokens = cache_bucket(min(tokens, context) if context else tokens, context)
        return self.read_bytes(tokens, element_bytes)

    def read_bytes(self, tokens: int, element_bytes: int) -> int:
        """Return the bytes that attention reads for the token after `tokens`."""
        kept = min(tokens, self.window)
        return (self.full * tokens + self.sliding * kept) * element_bytes


def cache_shape(config: Mapping[str, Any]) -> CacheShape | None:
    """Return the cache's shape by a config.json; None where it does not state enough.

    Keys and values have `KV heads × head_dim` numbers each (with grouped-query attention,
    several query heads share a KV head). Multi-head latent attention stores
    `kv_lora_rank + qk_rope_head_dim` numbers a layer, as transformers does. A state of constant
    size counts as nothing: a few MB of a large model.
    """
    inner = config.get("text_config")
    text = inner if isinstance(inner, Mapping) else config
    if str(text.get("model_type")) in _WITHOUT_ATTENTION:
        return CacheShape(0)
    layers = positive_int(text, *_LAYERS) or stated_layers(text)
    heads = positive_int(text, *_HEADS)
    if not layers or not heads:
        return None
    if rank := positive_int(text, "kv_lora_rank"):
        values = rank + positive_int(text, "qk_rope_head_dim")
    else:
        head_dim = positive_int(text, *_HEAD_DIM) or positive_int(text, *_WIDTH) // heads
        values = 2 * _kv_heads(text, heads) * head_dim
    if not values:
        return None
    found = attention_layers(text, layers)
    return CacheShape(
        found.full * values, found.sliding * values, found.window, hybrid=found.without > 0
    )


def _kv_heads(text: Mapping[str, Any], heads: int) -> int:
    if text.get("new_decoder_architecture"):
        return heads  # Falcon repeats the KV heads before it stores them
    if text.get("multi_query"):
        return 1
    return positive_int(text, *_KV_HEADS) or heads
