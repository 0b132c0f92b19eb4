"""Fits bitsandbytes' linear layers to models and processors for which they were not written."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import PreTrainedModel

from playground.core.errors import ModelError
from playground.core.model.kind import original_remedy

#: Layers whose weight the model multiplies itself, by model type: they stay as they are. With a
#: list of its own, transformers leaves out the output layer only where it is named, too.
_KEPT = {"mamba": ["lm_head", "dt_proj"], "falcon_mamba": ["lm_head", "dt_proj"]}
#: A layer whose input has four dimensions, in DeepSeek's attention.
_DEEP_INPUT = "kv_b_proj"
#: Output rows that bitsandbytes packs together for processors with avx512_bf16.
_ROWS = 32


def kept_layers(model_type: str) -> list[str] | None:
    """Return the names of layers not to be quantized, None for transformers' own choice."""
    return _KEPT.get(model_type)


def check_kept(model: PreTrainedModel, folder: Path) -> None:
    """Raise ModelError where a checkpoint has quantized layers that must not be."""
    kept = tuple(kept_layers(model.config.model_type) or ())
    for name, module in model.named_modules():
        if kept and name.endswith(kept) and type(module).__module__.startswith("bitsandbytes."):
            raise ModelError(
                f"The layer {name} of this checkpoint is quantized, and this architecture "
                "multiplies the layer's weight itself, which only a plain weight allows.",
                original_remedy(folder),
            )


def give_rows(model: PreTrainedModel) -> None:
    """Give contiguous rows to layers whose product garbles other inputs.

    Those are int8 layers with an input of four dimensions, and packed 4-bit layers.
    """
    for name, module in model.named_modules():
        deep = name.endswith(_DEEP_INPUT) and type(module).__name__ == "Linear8bitLt"
        if deep or getattr(module, "support_avx512bf16_for_cpu", False):
            module.forward = functools.partial(_as_rows, module.forward)


def _as_rows(forward: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    return forward(x.reshape(-1, x.shape[-1]).contiguous()).view(*x.shape[:-1], -1)


def leave_unpackable(model: PreTrainedModel) -> int:
    """Let 4-bit layers that cannot be packed unpack at each call; return how many they are.

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
