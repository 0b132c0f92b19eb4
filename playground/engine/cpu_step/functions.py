"""The functions of a fused step: native kernels where asked for, else torch's operations."""

from __future__ import annotations

from typing import Any

import torch

from playground.engine.cpu_step.kernels import Attention, NativeKernels, RowFunction, Tensor
from playground.engine.cpu_step.linear import JoinedLinear

LINEAR, ATTENTION = "linear layers", "attention"


class Functions:
    """Makes the functions of one step.

    `linear` are the native kernels for linear layers, `attention` those for attention and norms;
    None, and what no kernel takes, becomes torch's. `native` names the kinds that became native.
    """

    def __init__(self, linear: NativeKernels | None, attention: NativeKernels | None) -> None:
        self._linear = linear
        self._attention = attention
        self.native: set[str] = set()

    def linear(self, layer: JoinedLinear) -> RowFunction:
        """Joined linear layers, [1, in] to [1, out]."""
        if self._linear and (found := layer.native(self._linear)):
            self.native.add(LINEAR)
            return found
        return layer.torchs()

    def norm(self, module: Any) -> RowFunction:
        """The RMSNorm of a module of transformers, over a row [1, size]."""
        weight, epsilon = module.weight.detach(), float(module.variance_epsilon)
        if self._attention and (found := self._attention.norm(weight, epsilon)):
            self.native.add(ATTENTION)
            return found
        return torchs_norm(weight, epsilon)

    @staticmethod
    def heads_norm(module: Any) -> RowFunction:
        """The RMSNorm of every head, over states [1, heads, 1, size]; torch's always."""
        return torchs_norm(module.weight.detach(), float(module.variance_epsilon))

    def attention(
        self, heads: int, kv_heads: int, size: int, scale: float, dtype: torch.dtype
    ) -> Attention:
        """Rotary embedding, cache update and attention over heads of `size` values each."""
        sizes = (heads, kv_heads, size, scale)
        if self._attention and (found := self._attention.attention(*sizes, dtype)):
            self.native.add(ATTENTION)
            return found
        return torchs_attention(*sizes)


def torchs_norm(weight: Tensor, epsilon: float) -> RowFunction:
    """RMSNorm as transformers does it over the last dimension: in fp32, rounded, then weighted."""
    shape, dtype = tuple(weight.shape), weight.dtype
    normalize = torch.rms_norm

    def plain(x: Tensor) -> Tensor:
        return normalize(x, shape, None, epsilon) * weight

    def widened(x: Tensor) -> Tensor:
        return normalize(x.float(), shape, None, epsilon).to(dtype) * weight

    return plain if dtype == torch.float32 else widened


def torchs_attention(heads: int, kv_heads: int, size: int, scale: float) -> Attention:
    """The same as the native attention in torch's operations, in any dtype."""
    # nn.functional's name for it is a Python function around this one.
    attend = torch._C._nn.scaled_dot_product_attention
    half, grouped = size // 2, heads != kv_heads

    def run(
        queries_keys: Tensor,
        new_values: Tensor,
        cos: Tensor,
        sin: Tensor,
        keys: Tensor,
        values: Tensor,
        position: int,
    ) -> Tensor:
        rotated = queries_keys * cos + torch.roll(queries_keys, half, -1) * sin
        keys[:, :, position] = rotated[:, heads:, 0]
        values[:, :, position] = new_values[:, :, 0]
        end = position + 1
        keys, values = keys[:, :, :end], values[:, :, :end]
        mixed = attend(rotated[:, :heads], keys, values, scale=scale, enable_gqa=grouped)
        return mixed.reshape(1, heads * size)

    return run
