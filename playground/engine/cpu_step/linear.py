"""The linear layers of a fused step: layers that share their input are joined into one GEMV.

A step calls functions of one row, [1, in] to [1, out], instead of modules. The outputs of joined
layers are concatenated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from playground.engine.cpu_step.kernels import NativeKernels, RowFunction, Tensor
from playground.engine.loading.int8_weight_only import Int8WeightOnlyLinear

Module = torch.nn.Module


class JoinedLinear(Protocol):
    """Linear layers that share their input; their outputs are concatenated."""

    def native(self, kernels: NativeKernels) -> RowFunction | None:
        """Return the native function; None where no kernel takes these weights."""
        ...

    def torchs(self) -> RowFunction:
        """Return the function in torch's operations, or that calls the modules."""
        ...


def join(modules: Sequence[Module]) -> JoinedLinear:
    """Join linear layers that share their input; their weights become views of the joined one."""
    for kind in (_FloatLinear, _Int8Linear, _Int4Linear):
        if found := kind.of(modules):
            return found
    return _Separate([join([module]) for module in modules]) if modules[1:] else _Opaque(modules[0])


@dataclass(frozen=True)
class _FloatLinear:
    """torch.nn.Linear: weight [out, in], bias [out] or None, in a floating-point dtype."""

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, modules: Sequence[Module]) -> _FloatLinear | None:
        linear = [m for m in modules if type(m) is torch.nn.Linear and not _hooked(m)]
        biases = [m.bias for m in linear if m.bias is not None]
        if len(linear) < len(modules) or len(biases) not in (0, len(modules)):
            return None
        return cls(_joined([m.weight for m in linear]), _joined(biases) if biases else None)

    def native(self, kernels: NativeKernels) -> RowFunction | None:
        return kernels.linear(self.weight, self.bias)

    def torchs(self) -> RowFunction:
        linear, weight, bias = torch._C._nn.linear, self.weight, self.bias
        return lambda x: linear(x, weight, bias)


@dataclass(frozen=True)
class _Int8Linear:
    """Int8 weight-only: weight int8 [out, in], scale bf16 [out]."""

    weight: Tensor
    scale: Tensor

    @classmethod
    def of(cls, modules: Sequence[Module]) -> _Int8Linear | None:
        layers = [m for m in modules if isinstance(m, Int8WeightOnlyLinear) and m.bias is None]
        if len(layers) < len(modules) or not all(layer.is_packable for layer in layers):
            return None
        return cls(_joined([m.weight for m in layers]), _joined([m.scale for m in layers]))

    def native(self, kernels: NativeKernels) -> RowFunction | None:
        return kernels.int8_linear(self.weight, self.scale)

    def torchs(self) -> RowFunction:
        multiply, weight, scale = torch._weight_int8pack_mm, self.weight, self.scale
        return lambda x: multiply(x, weight, scale)


@dataclass(frozen=True)
class _Int4Linear:
    """gptqmodel's int4 layer on torch's kernel, weights packed in blocks of 64 rows.

    Scales and zeros bf16 [in / group, out, 2]. `order` int64 [in] permutes the inputs; None: as
    they are.
    """

    packed: Tensor
    group: int
    scales_and_zeros: Tensor
    order: Tensor | None
    bias: Tensor | None

    @classmethod
    def of(cls, modules: Sequence[Module]) -> _Int4Linear | None:
        parts = [found for module in modules if (found := cls._single(module))]
        if len(parts) < len(modules):
            return None
        first = parts[0]
        if not parts[1:]:
            return first
        for part in parts:
            # Weights of whole blocks can be concatenated.
            if part.bias is not None or part.group != first.group or part.packed.shape[0] % 64:
                return None
            if not _same(part.order, first.order):
                return None
        packed = _joined([part.packed for part in parts])
        scales_and_zeros = torch.cat([part.scales_and_zeros for part in parts], 1)
        return cls(packed, first.group, scales_and_zeros, first.order, None)

    @classmethod
    def _single(cls, module: Any) -> _Int4Linear | None:  # gptqmodel has no annotations
        if type(module).__name__ != "TorchAtenLinear" or module.linear_mode != "inference":
            return None
        if module.adapter is not None or module.scales_and_zeros.dtype != torch.bfloat16:
            return None
        order = module.ret_idx
        unchanged = torch.equal(order, torch.arange(order.numel(), dtype=order.dtype))
        return cls(
            module.qweight,
            module.group_size,
            module.scales_and_zeros,
            None if unchanged else order,
            module.bias,
        )

    def native(self, kernels: NativeKernels) -> RowFunction | None:
        multiply = kernels.int4_linear(self.packed, self.scales_and_zeros, self.group)
        return multiply and self._around(multiply)

    def torchs(self) -> RowFunction:
        multiply = torch.ops.aten._weight_int4pack_mm_for_cpu.default
        packed, group, scales_and_zeros = self.packed, self.group, self.scales_and_zeros
        return self._around(lambda x: multiply(x, packed, group, scales_and_zeros))

    def _around(self, multiply: RowFunction) -> RowFunction:
        order, bias = self.order, self.bias

        def run(x: Tensor) -> Tensor:
            y = multiply(x if order is None else x[:, order])
            # In place: the bias may have another dtype, to which a sum would be promoted.
            return y if bias is None else y.add_(bias)

        return run


@dataclass(frozen=True)
class _Opaque:
    """Any other module: it is called with [batch, tokens, in]."""

    module: Module

    def native(self, kernels: NativeKernels) -> RowFunction | None:
        return None

    def torchs(self) -> RowFunction:
        module = self.module

        def run(x: Tensor) -> Tensor:
            y: Tensor = module(x[None])[0]
            return y

        return run


@dataclass(frozen=True)
class _Separate:
    """Layers that cannot be joined: they run one after the other."""

    layers: Sequence[JoinedLinear]

    def native(self, kernels: NativeKernels) -> RowFunction | None:
        functions = [layer.native(kernels) for layer in self.layers]
        if not any(functions):
            return None
        return _concatenated(
            [native or layer.torchs() for native, layer in zip(functions, self.layers, strict=True)]
        )

    def torchs(self) -> RowFunction:
        return _concatenated([layer.torchs() for layer in self.layers])


def _concatenated(functions: Sequence[RowFunction]) -> RowFunction:
    return lambda x: torch.cat([function(x) for function in functions], -1)


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate tensors along their first dimension, and make them views of the result."""
    if (whole := _adjacent(tensors)) is not None:
        return whole
    with torch.no_grad():
        whole = torch.cat([tensor.detach() for tensor in tensors])
        start = 0
        for tensor in tensors:
            tensor.data = whole[start : start + tensor.shape[0]]
            start += tensor.shape[0]
    return whole


def _adjacent(tensors: Sequence[Tensor]) -> Tensor | None:
    """Return tensors as one if they are adjacent in one storage, else None."""
    first = tensors[0].detach()
    end = first.data_ptr()
    for tensor in tensors:
        same = tensor.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        if not same or tensor.data_ptr() != end or not tensor.is_contiguous():
            return first if len(tensors) == 1 else None
        end += tensor.numel() * tensor.element_size()
    rows = sum(tensor.shape[0] for tensor in tensors)
    return first.as_strided((rows, *first.shape[1:]), first.stride())


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other or (one is not None and other is not None and torch.equal(one, other))


def _hooked(module: Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
