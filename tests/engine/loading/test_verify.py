"""What really runs, counted by bytes: experts, layers that a quantizer leaves, odd storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GPTQConfig, PreTrainedModel

from playground.core.facts import LoadedModel, LoadRequest, VerifiedPrecision
from playground.core.precision import Precision
from playground.engine.loading.bitsandbytes_layers import leave_unpackable
from playground.engine.loading.gptq_int4 import Int4Linear, unpack
from playground.engine.loading.verify import verify
from tests.engine.architectures import make, write
from tests.support.old_gptq import Kind, pack

INT8 = {"load_in_8bit": True}
NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}


def quantized(name: str, folder: Path, **how: Any) -> VerifiedPrecision:
    """Load a tiny model of an architecture with bitsandbytes, and count."""
    write(make(name, seed=0), folder)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, quantization_config=BitsAndBytesConfig(**how)
    )
    leave_unpackable(model)
    with torch.no_grad():
        model(torch.tensor([[1, 2]]))
    return verify(model)[0]


@pytest.mark.parametrize("name", ["mixtral", "qwen3_moe", "olmoe"])
def test_a_mixture_at_int8_is_mostly_its_plain_experts(name: str, tmp_path: Path) -> None:
    verified = quantized(name, tmp_path / "model", **INT8)
    assert verified.precision is Precision.BF16
    assert list(verified.shares) == ["bf16", "int8"]
    assert verified.shares["bf16"] > 0.7
    assert verified.unquantized == "experts are not quantized by bitsandbytes"
    request = LoadRequest(name="m", folder="m", commit="", precision=Precision.INT8)
    loaded = LoadedModel(
        request=request, verified=verified, kernel="", device_name="", architecture="",
        parameters=0, context_length=0, has_chat_template=False, load_s={}, memory_bytes=0,
    )  # fmt: skip
    assert loaded.mismatch == (
        f"Requested int8 (bitsandbytes), but really running: {verified.text}: "
        "experts are not quantized by bitsandbytes."
    )


@pytest.mark.parametrize("name", ["falcon", "falcon new"])
def test_layers_of_a_class_that_the_quantizer_skips(name: str, tmp_path: Path) -> None:
    verified = quantized(name, tmp_path / "model", **INT8)
    assert verified.precision is Precision.BF16
    assert verified.text == "bf16"
    assert verified.unquantized == (
        "layers of the class FalconLinear are not quantized by bitsandbytes"
    )


@pytest.mark.parametrize(
    ("how", "text", "kind"),
    [
        (INT8, "int8", "int8 (bitsandbytes)"),
        (NF4, "NF4 4-bit", "NF4 (bitsandbytes)"),
        # As in FSDP with QLoRA.
        (NF4 | {"bnb_4bit_quant_storage": torch.bfloat16}, "NF4 4-bit", "NF4 (bitsandbytes)"),
        (NF4 | {"bnb_4bit_quant_type": "fp4"}, "FP4 4-bit", "FP4 (bitsandbytes)"),
    ],
)
def test_what_bitsandbytes_stores_has_its_name(
    how: dict[str, Any], text: str, kind: str, tmp_path: Path
) -> None:
    verified = quantized("llama", tmp_path / "model", **how)
    precision = Precision.INT8 if how is INT8 else Precision.NF4
    assert (verified.precision, verified.text) == (precision, text)
    assert verified.modules == {kind: 14, "bf16": 1}
    assert verified.unquantized == ""


def test_a_partly_quantized_model_has_the_shares_of_its_bytes() -> None:
    model: PreTrainedModel = make("llama", seed=0).to(torch.bfloat16)
    mlp, draw = model.model.layers[0].mlp, np.random.default_rng(0)
    weight = draw.standard_normal((64, 64)).astype(np.float32)  # no smaller one can be packed
    tensors, _ = pack(weight, Kind(group=32), draw)
    found = unpack(**{k: torch.from_numpy(v) for k, v in tensors.items()}, zero_offset=1)
    assert found is not None
    mlp.down_proj = Int4Linear(found, None)
    model.config.quantization_config = GPTQConfig(bits=4)
    verified, _ = verify(model)
    packed = 64 * 64 // 2 + 4 * 64 * 2
    # In bf16, two layers of 4 attention and 3 other weights, but for one of 32 · 48 values.
    plain = 2 * (2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 48) - 32 * 48)
    assert verified.weights == {"bf16": plain, "GPTQ 4-bit": packed}
    share = packed / (plain + packed)
    assert verified.shares == {"bf16": 1 - share, "GPTQ 4-bit": share}
    assert verified.text == "bf16 92%, GPTQ 4-bit 8.5%"
    assert verified.unquantized.startswith("13 layers are left as they are, for example ")
    assert verified.precision is Precision.BF16


def test_plain_models_need_no_reason() -> None:
    verified, _ = verify(make("mixtral", seed=0))
    assert (verified.text, verified.explained) == ("fp32", "fp32")
    assert verified.precision is Precision.FP32
