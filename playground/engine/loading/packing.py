"""Keeps bitsandbytes from packing 4-bit layers of shapes that its packed CPU product lacks."""

from __future__ import annotations

import sys

from transformers import PreTrainedModel

#: Output rows that bitsandbytes packs together for processors with avx512_bf16.
_ROWS = 32


def leave_unpackable(model: PreTrainedModel) -> int:
    """Let layers of other shapes unpack their weights at each call; return how many they are.

    Packing wants rows in groups of 32, and rows that are whole blocks of scales.
    """
    if "bitsandbytes" not in sys.modules:
        return 0
    from bitsandbytes.nn.modules import Linear4bit

    left = 0
    for module in model.modules():
        if not isinstance(module, Linear4bit) or not module.support_avx512bf16_for_cpu:
            continue
        state = getattr(module.weight, "quant_state", None)
        block = state.blocksize if state is not None else _ROWS
        if module.out_features % _ROWS or module.in_features % block:
            module.support_avx512bf16_for_cpu = False
            left += 1
    return left
