"""Weight-only int8: multiplies bitsandbytes' int8 weights with unquantized activations.

bitsandbytes quantizes the activations at each call, and computes outliers separately. Here the
stored weight CB and its row scale SCB give `x @ CB.T * SCB / 127`.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

#: torch's packed product reads the inputs in steps of this size, beyond their end if need be.
_STEP = 16
#: Above this number of rows, dequantizing the whole weight is faster (measured on a CPU).
_MAX_PACKED_ROWS = 16


class Int8WeightOnlyLinear(torch.nn.Module):
    """A linear layer with `weight` int8 [out, in] and `scale` bf16 [out]."""

    weight: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self, weight: torch.Tensor, row_scale: torch.Tensor, bias: torch.Tensor | None
    ) -> None:
        """`row_scale` is bitsandbytes' SCB: the largest absolute value of each row, fp32."""
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.register_buffer("weight", weight)
        self.register_buffer("scale", (row_scale / 127.0).to(torch.bfloat16))
        self.bias = bias

    @property
    def is_packable(self) -> bool:
        """Whether torch's packed product can run the layer."""
        return self.in_features % _STEP == 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [..., out] for x [..., in], in the dtype of x."""
        rows = x.reshape(-1, self.in_features).contiguous()  # as the packed product wants them
        if self.is_packable and rows.device.type == "cpu" and len(rows) <= _MAX_PACKED_ROWS:
            # In fp32 and fp16 this kernel is 15 to 25 times slower than in bf16.
            y = torch._weight_int8pack_mm(rows.bfloat16(), self.weight, self.scale).to(x.dtype)
        else:
            y = torch.nn.functional.linear(rows, self.weight.to(x.dtype)) * self.scale.to(x.dtype)
        if self.bias is not None:
            y = y + self.bias.to(x.dtype)
        return y.view(*x.shape[:-1], self.out_features)


def make_weight_only(model: PreTrainedModel) -> None:
    """Replace each int8 layer of bitsandbytes by an Int8WeightOnlyLinear."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            layer: Any = child  # bitsandbytes' layers have no annotations
            if type(layer).__name__ == "Linear8bitLt" and hasattr(layer.weight, "CB"):
                weight_only = Int8WeightOnlyLinear(layer.weight.CB, layer.weight.SCB, layer.bias)
                setattr(parent, name, weight_only.eval())
