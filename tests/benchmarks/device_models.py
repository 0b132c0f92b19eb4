"""Llamas with random weights, made on a device in each precision, for `bench gpu`.

Speed does not depend on the weights' values. The layers are those that a load makes, put
together without a checkpoint: one of this size would take minutes to be written and read.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from playground.core.precision import Precision
from playground.engine.loading.gptq_int4 import Int4Linear, check, unpack
from playground.engine.loading.int8_weight_only import Int8WeightOnlyLinear
from tests.benchmarks.random_model import packed

_THRESHOLD = 6.0  # transformers' own for int8
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
    # Every part of the benchmark in seconds on a CPU.
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


def make(shape: str, precision: Precision, device: str) -> Any:
    """Return a model in bf16, int8, int8wo, NF4 or GPTQ; what is not quantized is bf16.

    Raises ImportError without the library that the precision needs, RuntimeError where a
    product of GPTQ's is not that of its weights.
    """
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(
            LlamaConfig(**SHAPES[shape]), dtype=torch.bfloat16, attn_implementation="sdpa"
        )
    model.generation_config.eos_token_id = None
    if precision is not Precision.BF16:
        _replace(model, _MAKERS[precision])
    return model.eval()


@torch.no_grad()
def _replace(model: Any, maker: Callable[[Any], Any]) -> None:
    """Replace the layers' products one by one, so that only one of them is there twice."""
    for parent in list(model.model.layers.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear):
                setattr(parent, name, maker(child))


def _bitsandbytes() -> Any:
    """The library, whose annotations hold in part only."""
    return import_module("bitsandbytes")


def _int8_rows(weight: Any) -> tuple[Any, Any]:
    rows, scale, _ = _bitsandbytes().functional.int8_vectorwise_quant(weight.half())
    return rows, scale


def _weight_only(linear: Any) -> Any:
    return Int8WeightOnlyLinear(*_int8_rows(linear.weight.data), None)


def _int8(linear: Any) -> Any:
    bitsandbytes = _bitsandbytes()
    rows, scale = _int8_rows(linear.weight.data)
    layer = bitsandbytes.nn.Linear8bitLt(
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


def _nf4(linear: Any) -> Any:
    bitsandbytes = _bitsandbytes()
    layer = bitsandbytes.nn.Linear4bit(
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


def _gptq(linear: Any) -> Any:
    device = linear.weight.device
    weight = unpack(**packed(linear.out_features, linear.in_features, device), zero_offset=1)
    if weight is None:
        raise RuntimeError("the shape has no groups that torch's int4 product takes")
    layer = Int4Linear(weight, None)
    check(layer, weight)
    return layer


_MAKERS: dict[Precision, Callable[[Any], Any]] = {
    Precision.INT8_WEIGHT_ONLY: _weight_only,
    Precision.INT8: _int8,
    Precision.NF4: _nf4,
    Precision.GPTQ: _gptq,
}
