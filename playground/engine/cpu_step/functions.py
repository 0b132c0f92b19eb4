"""The functions that a fused step calls: native kernels or torch's operations."""

from __future__ import annotations

import torch
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from playground.engine.cpu_step.kernels import Attention, NativeKernels, RowFunction, Tensor
from playground.engine.cpu_step.linear import JoinedLinear

LINEAR, ATTENTION = "linear layers", "attention"


class Functions:
    """Returns the functions of one step.

    `linear` are the native kernels for linear layers, `attention` those for attention and norms.
    Where they are None, or no kernel takes the tensors, torch computes. `native` names the kinds
    of functions that are native.
    """

    def __init__(self, linear: NativeKernels | None, attention: NativeKernels | None) -> None:
        self._linear = linear
        self._attention = attention
        self.native: set[str] = set()

    def linear(self, layer: JoinedLinear) -> RowFunction:
        """Return the function of joined linear layers, [1, in] to [1, out]."""
        if self._linear and (found := layer.native(self._linear)):
            self.native.add(LINEAR)
            return found
        return layer.torchs()

    def norm(self, module: LlamaRMSNorm) -> RowFunction:
        """Return the RMSNorm of a row [1, size]."""
        weight, epsilon = module.weight.detach(), module.variance_epsilon
        if self._attention and (found := self._attention.norm(weight, epsilon)):
            self.native.add(ATTENTION)
            return found
        return torchs_norm(weight, epsilon)

    @staticmethod
    def heads_norm(module: LlamaRMSNorm) -> RowFunction:
        """Return the RMSNorm of each head, over states [1, heads, 1, size]; no kernel has it."""
        return torchs_norm(module.weight.detach(), module.variance_epsilon)

    def attention(
        self, heads: int, kv_heads: int, size: int, scale: float, dtype: torch.dtype
    ) -> Attention:
        """Return rotary embedding, cache update and attention, over heads of `size` values."""
        sizes = (heads, kv_heads, size, scale)
        if self._attention and (found := self._attention.attention(*sizes, dtype)):
            self.native.add(ATTENTION)
            return found
        return torchs_attention(*sizes)


def torchs_norm(weight: Tensor, epsilon: float) -> RowFunction:
    """Return RMSNorm as in transformers, over the last dimension: in fp32, rounded, weighted."""
    shape, dtype = tuple(weight.shape), weight.dtype
    normalize = torch.rms_norm

    def plain(x: Tensor) -> Tensor:
        return normalize(x, shape, None, epsilon) * weight

    def widened(x: Tensor) -> Tensor:
        return normalize(x.float(), shape, None, epsilon).to(dtype) * weight

    return plain if dtype == torch.float32 else widened


def torchs_attention(heads: int, kv_heads: int, size: int, scale: float) -> Attention:
    """Return `Attention` in torch's operations, for any dtype."""
    # nn.functional wraps this in a Python function.
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
