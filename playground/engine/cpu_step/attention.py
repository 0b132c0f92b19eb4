"""What a lean step does between the products of queries, keys and values and of their mix."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from playground.engine.cpu_step.kernels import Keep, NativeProducts

#: From queries and keys [1, heads + kv_heads, 1, size], values [1, kv_heads, 1, size], cos and
#: sin [size], a layer's keys and values [1, kv_heads, slots, size] and the position, to the mix
#: [1, heads * size]. Keys and values are put into the cache.
Attention = Callable[[Any, Any, Any, Any, Any, Any, int], Any]

_TOGETHER = 512  # tokens, that torch takes
#: Tokens at which an attention is tried: less and more than a vector, and than these.
_TRIED = (7, 48, 62, 530)
_RESULTS = 1024  # of a trial, at least, whatever heads the model has: so many tell more
_SUMS = (2, 1)  # vectors in which torch adds up probabilities: since 2.13 or before, and before
#: A score whose probability is less than half the last bit of the likely one's.
_HARDLY = -17.375


def attention(
    heads: int, kv_heads: int, size: int, scale: float, dtype: Any, native: NativeProducts | None
) -> Attention:
    """Return the fastest that gives the bits of the model's own; any where `native` may differ.

    The sin of the first half of a head is negative: that is rotate_half's sign.
    """
    shape = (heads, kv_heads, size)
    torchs = _torchs(*shape, scale, native.keep(*shape, dtype) if native else None)
    if native is None:
        return torchs
    sums = torchs_sums(native) if native.exact else 0
    whole = native.attend(*shape, scale, dtype, sums)
    if whole is None:
        return torchs
    if native.exact and not _attends_as_torch(native, heads // kv_heads, size, scale, dtype, sums):
        return torchs
    return partial(_flat, whole, heads * size)


def _flat(whole: Keep, width: int, *states: Any) -> Any:
    return whole(*states).view(1, width)


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


def torchs_sums(native: NativeProducts) -> int:
    """In how many vectors in turn torch adds up probabilities; 0 if in none of those known.

    How many of the small ones count depends on what was added up before they meet the large
    one: that is in torch's logarithm of the sum, by many times what logarithms may differ.
    """
    places = range(0, _TOGETHER, 37)
    scores = torch.full((len(places), _TOGETHER), _HARDLY)
    for row, place in zip(scores, places, strict=True):
        row[place] = 0
    query = torch.zeros(1, len(places), 1, 16, dtype=torch.bfloat16)
    query[..., 0] = 1
    keys = torch.zeros(1, len(places), _TOGETHER, 16, dtype=torch.bfloat16)
    keys[0, :, :, 0] = scores
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    theirs = attend(query, keys, keys, scale=1.0)[1].flatten()
    for sums in _SUMS:
        ours = torch.tensor([native.weigh(row, sums) or math.nan for row in scores])
        if bool(((ours.log() - theirs).abs() < 2**-26).all()):
            return sums
    return 0


def _attends_as_torch(
    native: NativeProducts, group: int, size: int, scale: float, dtype: Any, sums: int
) -> bool:
    """Whether the native attention gives torch's bits where other orders of sums would not.

    `group` queries share a key.
    """
    kv_heads = max(1, _RESULTS // (size * group))
    heads = kv_heads * group
    ours = native.attend(heads, kv_heads, size, scale, dtype, sums)
    if ours is None:
        return False
    torchs = _torchs(heads, kv_heads, size, scale, None)
    cos, sin = torch.ones(size, dtype=dtype), torch.zeros(size, dtype=dtype)
    for query, keys, values in _telling_states(kv_heads, size):
        query = query.repeat_interleave(group, 1)
        query[:, 1::2] *= 1.5  # so that they differ
        keys, values = keys.to(dtype), values.to(dtype)
        turnable = torch.cat((query.to(dtype), keys[:, :, -1:]), 1)
        states = (turnable, values[:, :, -1:], cos, sin, keys, values, keys.shape[2] - 1)
        if not torch.equal(ours(*states).view(1, heads * size), torchs(*states)):
            return False
    return True


def _telling_states(heads: int, size: int) -> Iterator[tuple[Any, Any, Any]]:
    """Queries [1, heads, 1, size], keys and values [1, heads, tokens, size]."""
    generator = torch.Generator().manual_seed(0)

    def states(tokens: int) -> Any:
        return torch.randn(1, heads, tokens, size, generator=generator)

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
