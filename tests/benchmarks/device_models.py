"""Makes Llamas with random weights on a device, in each precision, for the GPU benchmark.

Speed does not depend on the weights' values. The layers are those of a load, but without a
checkpoint: writing and reading one of this size would take minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from playground.core.precision import Precision
from playground.engine.loading.gptq_int4 import Int4Linear, check, unpack
from playground.engine.loading.int8_weight_only import Int8WeightOnlyLinear
from tests.benchmarks.random_model import packed

_THRESHOLD = 6.0  # transformers' default for outliers in int8
SHAPES: dict[str, dict[str, Any]] = {
    "llama-2-7b": {
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 4096,
    },
    # So small that a CPU runs every part of the benchmark in seconds.
    "tiny": {
        "vocab_size": 512,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
    },
}


_Maker = Callable[[torch.nn.Linear], torch.nn.Module]


def make(shape: str, precision: Precision, device: str) -> PreTrainedModel:
    """Return a model in bf16, int8, int8wo, NF4 or GPTQ; what is not quantized is in bf16.

    Raises ImportError without the library that the precision needs, RuntimeError where the int4
    product is not that of the weights.
    """
    torch.manual_seed(0)
    with torch.device(device):
        model: Any = AutoModelForCausalLM.from_config(
            LlamaConfig(**SHAPES[shape]), dtype=torch.bfloat16, attn_implementation="sdpa"
        )
    model.generation_config.eos_token_id = None
    if precision is not Precision.BF16:
        _replace(model.model.layers, _MAKERS[precision])
    made: PreTrainedModel = model.eval()
    return made


@torch.no_grad()
def _replace(layers: torch.nn.Module, maker: _Maker) -> None:
    """Replace linear layers one by one, so that only one of them is in memory twice."""
    for parent in list(layers.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear):
                setattr(parent, name, maker(child))


def _bitsandbytes() -> Any:
    """Return the library, whose annotations are incomplete."""
    return import_module("bitsandbytes")


def _int8_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantize a weight [out, in] to int8; return it with the scale of each row."""
    rows, scale, _ = _bitsandbytes().functional.int8_vectorwise_quant(weight.half())
    return rows, scale


def _weight_only(linear: torch.nn.Linear) -> torch.nn.Module:
    return Int8WeightOnlyLinear(*_int8_rows(linear.weight.data), None)


def _int8(linear: torch.nn.Linear) -> torch.nn.Module:
    bitsandbytes = _bitsandbytes()
    rows, scale = _int8_rows(linear.weight.data)
    layer: torch.nn.Module = bitsandbytes.nn.Linear8bitLt(
        linear.in_features,
        linear.out_features,
        bias=False,
        has_fp16_weights=False,
        threshold=_THRESHOLD,
        device="meta",
    )
    layer.weight = bitsandbytes.nn.Int8Params(
        rows, requires_grad=False, has_fp16_weights=False, CB=rows, SCB=scale
    )
    return layer


def _nf4(linear: torch.nn.Linear) -> torch.nn.Module:
    bitsandbytes = _bitsandbytes()
    layer: torch.nn.Module = bitsandbytes.nn.Linear4bit(
        linear.in_features,
        linear.out_features,
        bias=False,
        compute_dtype=torch.bfloat16,
        compress_statistics=False,
        quant_type="nf4",
        device="meta",
    )
    weight = bitsandbytes.nn.Params4bit(
        linear.weight.data, requires_grad=False, compress_statistics=False, quant_type="nf4"
    )
    layer.weight = weight.to(linear.weight.device)
    return layer


def _gptq(linear: torch.nn.Linear) -> torch.nn.Module:
    device = linear.weight.device
    weight = unpack(**packed(linear.out_features, linear.in_features, device), zero_offset=1)
    if weight is None:
        raise RuntimeError("the shape has no groups that torch's int4 product takes")
    layer = Int4Linear(weight, None)
    check(layer, weight)
    return layer


_MAKERS: dict[Precision, _Maker] = {
    Precision.INT8_WEIGHT_ONLY: _weight_only,
    Precision.INT8: _int8,
    Precision.NF4: _nf4,
    Precision.GPTQ: _gptq,
}
