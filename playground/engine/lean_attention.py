"""What a lean step does between the products of queries, keys and values and of their mix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from playground.engine.native import Keep, NativeProducts

#: From queries and keys [1, heads + kv_heads, 1, size], values [1, kv_heads, 1, size], cos and
#: sin [size], a layer's keys and values [1, kv_heads, slots, size] and the position, to the mix
#: [1, heads * size]. Keys and values are put into the cache.
Attention = Callable[[Any, Any, Any, Any, Any, Any, int], Any]


_TOGETHER = 512  # tokens, that torch takes
#: Tokens at which an attention is tried: less and more than a vector, and than these.
_TRIED = (7, 48, 62, 530)
#: Heads of a trial, whatever the model has: so many results tell more.
_HEADS = 16
_SUMS = 32  # trials of the order in which probabilities are added
_HARDLY = -17.5  # a score whose probability is less than half the last bit of a likely one's


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

    if native.exact and not _attends_as_torch(native, size, scale, dtype):
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


def _attends_as_torch(native: NativeProducts, size: int, scale: float, dtype: Any) -> bool:
    """Whether the native attention gives torch's bits where other orders of sums would not."""
    ours = native.attend(_HEADS, _HEADS, size, scale, dtype)
    if ours is None:
        return False
    torchs = _torchs(_HEADS, _HEADS, size, scale, None)
    cos, sin = torch.ones(size, dtype=dtype), torch.zeros(size, dtype=dtype)
    for query, keys, values in _telling_states(size, scale):
        keys, values = keys.to(dtype), values.to(dtype)
        turnable = torch.cat((query.to(dtype), keys[:, :, -1:]), 1)
        states = (turnable, values[:, :, -1:], cos, sin, keys, values, keys.shape[2] - 1)
        if not torch.equal(ours(*states).view(1, _HEADS * size), torchs(*states)):
            return False
    return True


def _telling_states(size: int, scale: float) -> Iterator[tuple[Any, Any, Any]]:
    """Queries [1, heads, 1, size], keys and values [1, heads, tokens, size]."""
    generator = torch.Generator().manual_seed(0)

    def states(tokens: int) -> Any:
        return torch.randn(1, _HEADS, tokens, size, generator=generator)

    def nearly_cancelling(tokens: int, over: int) -> tuple[Any, Any]:
        """Of terms of many magnitudes each other one nearly the opposite, and their order."""
        large = states(tokens) * torch.exp(2 * states(tokens))
        half = large.narrow(over, 0, (large.shape[over] + 1) // 2)
        noise = 1 + 0.008 * torch.randn(half.shape, generator=generator)
        order = torch.randperm(large.shape[over], generator=generator)
        return torch.cat((half, -half * noise), over).index_select(over, order), order

    for tokens in _TRIED:
        # In the mix: keys that come twice have values that nearly cancel.
        values, order = nearly_cancelling(tokens, 2)
        keys = states((tokens + 1) // 2)
        yield states(1), torch.cat((keys, keys), 2)[:, :, order], values
        # In the scores.
        keys, order = nearly_cancelling(tokens, 3)
        query = states(1)[..., : size // 2]
        yield torch.cat((query, query), 3)[..., order], keys, states(tokens)
    values = states(_TOGETHER)
    for _ in range(_SUMS):
        # In the probabilities: how many of the small ones count depends on what they meet.
        query, keys = torch.zeros(1, _HEADS, 1, size), torch.zeros_like(values)
        query[..., 0] = 1 / scale
        keys[..., 0] = _HARDLY
        for place in torch.randint(_TOGETHER, (2,), generator=generator):
            keys[:, :, place, 0] = -0.5 * torch.rand(_HEADS, generator=generator)
        yield query, keys, values
