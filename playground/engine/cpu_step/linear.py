"""The matrix-vector products of one token, without the modules around them.

A product takes [1, in] and gives [1, out]. Several linear layers that share their input
become one product where the result is the same, bit for bit, as that of each alone. Native
products sum in another order than the modules do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from playground.engine.cpu_step.kernels import NativeProducts, Product
from playground.engine.loading.int8_weight_only import Int8WeightOnlyLinear

_linear = torch._C._nn.linear


def product(
    modules: Sequence[Any], fuse: bool = True, native: NativeProducts | None = None
) -> Product:
    """Return the product of modules that share their input, outputs one after the other."""
    if fuse and len(modules) > 1:
        for kind in (_plain, _weight_only, _int4_together):
            if fused := kind(modules, native):
                return fused
    singles = [_single(module, native) for module in modules]
    if len(singles) == 1:
        return singles[0]
    return lambda x: torch.cat([single(x) for single in singles], -1)


def _single(module: Any, native: NativeProducts | None) -> Product:
    for kind in (_plain, _weight_only):
        if found := kind([module], native):
            return found
    if int4 := _int4(module):
        packed, group, scales_and_zeros, order, bias = int4
        return _int4_product(packed, group, scales_and_zeros, order, bias, native)
    # Whatever it is, it wants [batch, tokens, in].
    return lambda x: module(x[None])[0]


def _plain(modules: Sequence[Any], native: NativeProducts | None) -> Product | None:
    if any(type(module) is not torch.nn.Linear or _hooked(module) for module in modules):
        return None
    if len({module.bias is None for module in modules}) > 1:
        return None
    weight = _joined([module.weight for module in modules])
    biases = [module.bias for module in modules]
    bias = None if biases[0] is None else _joined(biases)

    def run(x: Any) -> Any:
        return _linear(x, weight, bias)

    if native is None:
        return run
    return native.checked(native.floats(weight, bias), run, weight, weight.dtype)


def _weight_only(modules: Sequence[Any], native: NativeProducts | None) -> Product | None:
    if any(
        type(module) is not Int8WeightOnlyLinear or module.bias is not None for module in modules
    ):
        return None
    if modules[0].weight.device.type != "cpu":
        return None
    weight = _joined([module.weight for module in modules])
    scale = _joined([module.scale for module in modules])
    multiply = torch._weight_int8pack_mm

    def run(x: Any) -> Any:
        return multiply(x, weight, scale)

    if native is None:
        return run
    return native.checked(native.int8(weight, scale), run, weight, scale.dtype)


def _joined(tensors: Sequence[Any]) -> Any:
    """Put tensors one after the other in one storage, of which they become views."""
    if (whole := _adjacent(tensors)) is not None:
        return whole
    with torch.no_grad():
        whole = torch.cat([tensor.detach() for tensor in tensors])
        start = 0
        for tensor in tensors:
            tensor.data = whole[start : start + tensor.shape[0]]
            start += tensor.shape[0]
    return whole


def _adjacent(tensors: Sequence[Any]) -> Any:
    """Return tensors that lie one after the other already as one, else None."""
    first = tensors[0].detach()
    end = first.data_ptr()
    for tensor in tensors:
        same = tensor.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        if not same or tensor.data_ptr() != end or not tensor.is_contiguous():
            return first if len(tensors) == 1 else None
        end += tensor.numel() * tensor.element_size()
    rows = sum(tensor.shape[0] for tensor in tensors)
    return first.as_strided((rows, *first.shape[1:]), first.stride())


def _int4(module: Any) -> tuple[Any, int, Any, Any, Any] | None:
    """Packed weight, group size, scales, order of the inputs (None: as they are), bias."""
    if type(module).__name__ != "TorchAtenLinear" or module.linear_mode != "inference":
        return None
    if module.adapter is not None or module.scales_and_zeros.dtype != torch.bfloat16:
        return None
    order = module.ret_idx
    as_it_is = torch.equal(order, torch.arange(order.numel(), dtype=order.dtype))
    return (
        module.qweight,
        module.group_size,
        module.scales_and_zeros,
        None if as_it_is else order,
        module.bias,
    )


def _int4_together(modules: Sequence[Any], native: NativeProducts | None) -> Product | None:
    parts = [_int4(module) for module in modules]
    known = [part for part in parts if part is not None]
    if len(known) != len(parts) or any(part[4] is not None for part in known):
        return None
    _, group, _, order, _ = known[0]
    for other in known[1:]:
        same_order = (other[3] is None) == (order is None) and (
            order is None or torch.equal(other[3], order)
        )
        if other[1] != group or not same_order:
            return None
    # The kernel packs blocks of 64 outputs: whole blocks can stand one after the other.
    if any(part[0].shape[0] % 64 for part in known):
        return None
    packed = _adjacent([part[0] for part in known])
    if packed is None:
        packed = torch.cat([part[0] for part in known])
    scales_and_zeros = torch.cat([part[2] for part in known], 1)
    start = 0
    for module in modules:
        end = start + module.qweight.shape[0]
        module.qweight = packed[start:end]
        start = end
    return _int4_product(packed, group, scales_and_zeros, order, None, native)


def _int4_product(
    packed: Any,
    group: int,
    scales_and_zeros: Any,
    order: Any,
    bias: Any,
    native: NativeProducts | None,
) -> Product:
    multiply = torch.ops.aten._weight_int4pack_mm_for_cpu.default

    def torchs(x: Any) -> Any:
        return multiply(x, packed, group, scales_and_zeros)

    own: Product = torchs
    if native:
        made = native.int4(packed, scales_and_zeros, group)
        no_rows = scales_and_zeros.new_empty(0, scales_and_zeros.shape[0] * group)
        own = native.checked(made, torchs, no_rows, scales_and_zeros.dtype)

    def run(x: Any) -> Any:
        y = own(x if order is None else x[:, order])
        return y if bias is None else y + bias

    return run


def _hooked(module: Any) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
