"""What a lean step does between the products of queries, keys and values and of their mix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from playground.engine.native import Keep, NativeProducts

#: From queries and keys [1, heads + kv_heads, 1, size], values [1, kv_heads, 1, size], cos and
#: sin [size], a layer's keys and values [1, kv_heads, slots, size] and the position, to the mix
#: [1, heads * size]. Keys and values are put into the cache.
Attention = Callable[[Any, Any, Any, Any, Any, Any, int], Any]


#: Tokens at which an attention is tried: less and more than a vector, and than the 512 that
#: torch takes together.
_TRIED = (3, 16, 45, 530)


def attention(
    heads: int, kv_heads: int, size: int, scale: float, dtype: Any, native: NativeProducts | None
) -> Attention:
    """Return the fastest that gives the bits of the model's own; any where `native` may differ.

    The sin of the first half of a head is negative: that is rotate_half's sign.
    """
    shape = (heads, kv_heads, size)
    torchs = _torchs(*shape, scale, native.keep(*shape, dtype) if native else None)
    whole = native.attend(*shape, scale, dtype) if native else None
    if native is None or whole is None:
        return torchs

    def natively(*states: Any) -> Any:
        return whole(*states).view(1, heads * size)

    if native.exact and not _same(natively, torchs, *shape, dtype):
        return torchs
    return natively


def _torchs(heads: int, kv_heads: int, size: int, scale: float, kept: Keep | None) -> Attention:
    mix = torch._C._nn.scaled_dot_product_attention
    half, grouped = size // 2, heads != kv_heads

    def run(
        turnable: Any, fresh: Any, cos: Any, sin: Any, keys: Any, values: Any, position: int
    ) -> Any:
        end = position + 1
        if kept:
            queries = kept(turnable, fresh, cos, sin, keys, values, position)
        else:
            turned = turnable * cos + torch.roll(turnable, half, -1) * sin
            queries = turned[:, :heads]
            keys[:, :, position] = turned[:, heads:, 0]
            values[:, :, position] = fresh[:, :, 0]
        keys, values = keys[:, :, :end], values[:, :, :end]
        mixed = mix(queries, keys, values, scale=scale, enable_gqa=grouped)
        return mixed.reshape(1, heads * size)

    return run


def _same(
    one: Attention, other: Attention, heads: int, kv_heads: int, size: int, dtype: Any
) -> bool:
    """Whether two give the same bits over states at random, some of which count for more."""
    generator = torch.Generator().manual_seed(0)

    def states(*shape: int) -> Any:
        return (torch.randn(1, *shape, size, generator=generator) * 2).to(dtype)

    for tokens in _TRIED:
        turnable, fresh = states(heads + kv_heads, 1), states(kv_heads, 1)
        keys, values = states(kv_heads, tokens), states(kv_heads, tokens)
        cos, sin = states(1)[0, 0], states(1)[0, 0]
        mixes = [
            attend(turnable, fresh, cos, sin, keys, values, tokens - 1) for attend in (one, other)
        ]
        if not torch.equal(*mixes):
            return False
    return True
