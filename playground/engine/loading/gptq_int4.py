"""Repacks 4-bit GPTQ weights for torch's int4 matmul, which every CUDA build has.

A GPTQ weight is `scale * (code - zero)`, a weight of the matmul `scale * (code - 8) + offset`: they
are equal with `offset = scale * (8 - zero)`. Scales and offsets are rounded to bf16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

#: Group sizes that the matmul supports, the largest first.
_GROUPS = (256, 128, 64, 32)
_PACKED = 8  # codes in an int32
_CHECK_ROWS = 4
#: Largest relative difference from the dequantized weight; bf16 itself rounds by 0.4 %.
_CHECK_BOUND = 0.02


@dataclass(frozen=True)
class Int4Weight:
    """A quantized weight; each group of columns is `scale * (code - zero)`.

    `codes` uint8 [out, in], `zeros` uint8 and `scales` float, both [in / group_size, out].
    `order` int64 [in] is the input of each column of `codes`; None: the columns are in the order
    of the inputs.
    """

    codes: torch.Tensor
    zeros: torch.Tensor
    scales: torch.Tensor
    group_size: int
    order: torch.Tensor | None

    def dequantized(self) -> torch.Tensor:
        """Return the weight fp32 [out, in], its columns in the order of the inputs."""
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
    qweight: torch.Tensor,
    qzeros: torch.Tensor,
    scales: torch.Tensor,
    g_idx: torch.Tensor,
    zero_offset: int,
) -> Int4Weight | None:
    """Unpack a GPTQ layer's 4-bit tensors; None where the matmul does not support its groups.

    `qweight` int32 [in / 8, out], `qzeros` int32 [groups, out / 8], `scales` [groups, out],
    `g_idx` [in], the group of each input. `zero_offset` is added to the stored zeros: 1 for
    AutoGPTQ's format, which stores zero - 1, and 0 for gptqmodel's second format.
    """
    shifts = torch.arange(0, 32, 4, device=qweight.device, dtype=torch.int32)
    codes = (qweight[:, None, :] >> shifts[None, :, None]) & 15
    codes = codes.flatten(0, 1).T.to(torch.uint8)
    zeros = ((qzeros[:, :, None] >> shifts) & 15).flatten(1) + zero_offset
    # As in other kernels for this format, a zero of 16 wraps around to 0.
    zeros = (zeros & 15).to(torch.uint8)
    inputs, groups = codes.shape[1], len(scales)
    size = inputs // groups
    sorted_groups, order = torch.sort(g_idx.long(), stable=True)
    regular = torch.arange(inputs, device=g_idx.device) // max(size, 1)
    fitting = next((g for g in _GROUPS if size % g == 0), 0)
    if not fitting or inputs % groups or not torch.equal(sorted_groups, regular):
        return None
    # A larger group is split into several with the same scale and zero.
    repeat = size // fitting
    in_order = torch.equal(order, torch.arange(inputs, device=order.device))
    return Int4Weight(
        codes=codes if in_order else codes[:, order],
        zeros=zeros.repeat_interleave(repeat, 0),
        scales=scales.repeat_interleave(repeat, 0),
        group_size=fitting,
        order=None if in_order else order,
    )


class Int4Linear(torch.nn.Module):
    """A linear layer on torch's int4 matmul, which computes in bf16."""

    bits = 4
    packed: torch.Tensor
    scales_and_offsets: torch.Tensor
    order: torch.Tensor | None

    def __init__(self, weight: Int4Weight, bias: torch.Tensor | None) -> None:
        """Pack for the weight's device. Raises what torch raises where it has no kernel."""
        super().__init__()
        self.out_features, self.in_features = weight.codes.shape
        self.group_size = weight.group_size
        scales = weight.scales.to(torch.bfloat16)
        offsets = scales * (8 - weight.zeros.to(torch.bfloat16))
        self.register_buffer("packed", _packed(weight.codes))
        self.register_buffer("scales_and_offsets", torch.stack((scales, offsets), -1).contiguous())
        self.register_buffer("order", weight.order)
        self.bias = bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [..., out] for x [..., in], in the dtype of x."""
        rows = x.reshape(-1, self.in_features).to(torch.bfloat16)
        if self.order is not None:
            rows = rows[:, self.order]
        if rows.device.type == "cpu":
            multiply = torch.ops.aten._weight_int4pack_mm_for_cpu
        else:
            multiply = torch.ops.aten._weight_int4pack_mm
        y: torch.Tensor = multiply(rows, self.packed, self.group_size, self.scales_and_offsets)
        y = y.to(x.dtype)
        if self.bias is not None:
            y = y + self.bias.to(x.dtype)
        return y.view(*x.shape[:-1], self.out_features)


def _packed(codes: torch.Tensor) -> torch.Tensor:
    """Return codes uint8 [out, in] in the layout of the device's matmul."""
    packed: torch.Tensor
    if codes.device.type == "cpu":
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.int(), 1)
    else:
        # The GPU's tiles are 16 x `tiles` inputs wide.
        tiles = next(t for t in (8, 4, 2) if codes.shape[1] % (16 * t) == 0)
        packed = torch.ops.aten._convert_weight_to_int4pack(byte_pairs(codes), tiles)
    return packed


def byte_pairs(codes: torch.Tensor) -> torch.Tensor:
    """Return two codes per byte, the first in the upper half: uint8 [out, in / 2]."""
    return ((codes[:, ::2] << 4) | codes[:, 1::2]).contiguous()


def repack(model: torch.nn.Module) -> None:
    """Replace gptqmodel's 4-bit layers by Int4Linear, where the matmul supports their groups.

    Raises RuntimeError if no layer fits, or if the first one computes wrong results.
    """
    checked = False
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            packed: Any = child  # gptqmodel's layers have no annotations
            if not type(packed).__module__.startswith("gptqmodel.") or packed.bits != 4:
                continue
            zero_offset = 1 if packed.qzero_format() == 1 else 0
            weight = unpack(packed.qweight, packed.qzeros, packed.scales, packed.g_idx, zero_offset)
            if weight is None or packed.out_features % _PACKED:
                continue
            layer = Int4Linear(weight, packed.bias).eval()
            if not checked:
                check(layer, weight)
                checked = True
            setattr(parent, name, layer)
    if not checked:
        raise RuntimeError("torch's int4 matmul takes none of the layers")


@torch.no_grad()
def check(layer: Int4Linear, weight: Int4Weight) -> None:
    """Raise RuntimeError if the layer's result differs from that of the dequantized weight."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(_CHECK_ROWS, layer.in_features, generator=generator).to(weight.codes.device)
    x = x.bfloat16()
    expected = x.float() @ weight.dequantized().T
    if layer.bias is not None:
        expected = expected + layer.bias.float()
    difference = float((layer(x).float() - expected).norm() / expected.norm())
    if not difference <= _CHECK_BOUND:  # NaN fails too
        raise RuntimeError(f"torch's int4 matmul is off by {difference:.0%}")
