"""GPTQ weights of 4 bits repacked for torch's own int4 product, which every CUDA build has.

GPTQ means `scale * (code - zero)`, the product `scale * (code - 8) + offset`: the same with
`offset = scale * (8 - zero)`. Both round scales to bf16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

#: Group sizes that the product takes.
_GROUPS = (256, 128, 64, 32)
_PACKED = 8  # codes in an int32
_CHECK_ROWS = 4
#: Largest relative difference from the dequantized weight; bf16 itself rounds by 0.4 %.
_CHECK_BOUND = 0.02


@dataclass(frozen=True)
class Int4Weight:
    """A weight's integers: `scale * (code - zero)`, group after group.

    `codes` uint8 [out, in], `zeros` uint8 and `scales` float, both [in / group_size, out].
    `order` int64 [in] tells which input each column of the codes belongs to; None: as they
    are.
    """

    codes: Any
    zeros: Any
    scales: Any
    group_size: int
    order: Any

    def dequantized(self) -> Any:
        """The weight fp32 [out, in], columns in the order of the inputs."""
        scales, zeros = (
            values.float().repeat_interleave(self.group_size, 0).T
            for values in (self.scales, self.zeros)
        )
        weight = scales * (self.codes.float() - zeros)
        if self.order is None:
            return weight
        found = torch.empty_like(weight)
        found[:, self.order] = weight
        return found


def unpack(
    qweight: Any, qzeros: Any, scales: Any, g_idx: Any, stored_zero_less: int
) -> Int4Weight | None:
    """Read GPTQ's tensors of 4 bits; None where its groups have no common size of the product.

    `qweight` int32 [in / 8, out], `qzeros` int32 [groups, out / 8], `scales` [groups, out],
    `g_idx` [in], the group of each input. `stored_zero_less` is 1 in the format of AutoGPTQ,
    which stores zero - 1 (gptqmodel's second format: 0).
    """
    shifts = torch.arange(0, 32, 4, device=qweight.device, dtype=torch.int32)
    codes = (qweight[:, None, :] >> shifts[None, :, None]) & 15
    codes = codes.flatten(0, 1).T.to(torch.uint8)
    zeros = ((qzeros[:, :, None] >> shifts) & 15).flatten(1) + stored_zero_less
    # As in every kernel for it: a zero of 16 wraps around.
    zeros = (zeros & 15).to(torch.uint8)
    inputs, groups = codes.shape[1], len(scales)
    size = inputs // groups
    sorted_groups, order = torch.sort(g_idx.long(), stable=True)
    regular = torch.arange(inputs, device=g_idx.device) // max(size, 1)
    fitting = next((g for g in _GROUPS if size % g == 0), 0)
    if not fitting or inputs % groups or not torch.equal(sorted_groups, regular):
        return None
    # A larger group is several of the largest that fits, with the same scale and zero.
    repeat = size // fitting
    as_they_are = torch.equal(order, torch.arange(inputs, device=order.device))
    return Int4Weight(
        codes=codes if as_they_are else codes[:, order],
        zeros=zeros.repeat_interleave(repeat, 0),
        scales=scales.repeat_interleave(repeat, 0),
        group_size=fitting,
        order=None if as_they_are else order,
    )


class Int4Linear(torch.nn.Module):
    """A linear layer on torch's int4 product, bf16 inside."""

    bits = 4

    def __init__(self, weight: Int4Weight, bias: Any) -> None:
        """Pack for the weight's device. Raises what torch raises where its kernel cannot."""
        super().__init__()
        self.out_features, self.in_features = weight.codes.shape
        self.group_size = weight.group_size
        scales = weight.scales.to(torch.bfloat16)
        offsets = scales * (8 - weight.zeros.to(torch.bfloat16))
        self.register_buffer("packed", _packed(weight.codes))
        self.register_buffer("scales_and_offsets", torch.stack((scales, offsets), -1).contiguous())
        self.register_buffer("order", weight.order)
        self.bias = bias

    def forward(self, x: Any) -> Any:
        """Return [..., out] for x [..., in], in the dtype of x."""
        rows = x.reshape(-1, self.in_features).to(torch.bfloat16)
        if self.order is not None:
            rows = rows[:, self.order]
        if rows.device.type == "cpu":
            multiply = torch.ops.aten._weight_int4pack_mm_for_cpu
        else:
            multiply = torch.ops.aten._weight_int4pack_mm
        y = multiply(rows, self.packed, self.group_size, self.scales_and_offsets).to(x.dtype)
        if self.bias is not None:
            y = y + self.bias.to(x.dtype)
        return y.view(*x.shape[:-1], self.out_features)


def _packed(codes: Any) -> Any:
    """The codes uint8 [out, in] as the device's product wants them."""
    if codes.device.type == "cpu":
        return torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.int(), 1)
    # Its tiles are 16 x `tiles` inputs wide.
    tiles = next(t for t in (8, 4, 2) if codes.shape[1] % (16 * t) == 0)
    return torch.ops.aten._convert_weight_to_int4pack(byte_pairs(codes), tiles)


def byte_pairs(codes: Any) -> Any:
    """Two codes a byte, the first in its upper half: uint8 [out, in / 2]."""
    return ((codes[:, ::2] << 4) | codes[:, 1::2]).contiguous()


def repack(model: Any) -> None:
    """Replace gptqmodel's layers of 4 bits; those that the product cannot take stay.

    Raises RuntimeError where it takes none, or gives something else than the weights mean.
    """
    checked = False
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if not type(child).__module__.startswith("gptqmodel.") or child.bits != 4:
                continue
            less = 1 if child.qzero_format() == 1 else 0
            weight = unpack(child.qweight, child.qzeros, child.scales, child.g_idx, less)
            if weight is None or child.out_features % _PACKED:
                continue
            layer = Int4Linear(weight, child.bias).eval()
            if not checked:
                check(layer, weight)
                checked = True
            setattr(parent, name, layer)
    if not checked:
        raise RuntimeError("torch's int4 product takes none of the layers")


@torch.no_grad()
def check(layer: Int4Linear, weight: Int4Weight) -> None:
    """Raise RuntimeError where the layer's product is not that of the dequantized weight."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(_CHECK_ROWS, layer.in_features, generator=generator).to(weight.codes.device)
    x = x.bfloat16()
    wanted = x.float() @ weight.dequantized().T
    if layer.bias is not None:
        wanted = wanted + layer.bias.float()
    difference = float((layer(x).float() - wanted).norm() / wanted.norm())
    if not difference <= _CHECK_BOUND:  # a NaN is no match either
        raise RuntimeError(f"torch's int4 product is off by {difference:.0%}")
