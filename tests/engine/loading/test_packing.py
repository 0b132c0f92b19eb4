"""4-bit layers of shapes that bitsandbytes cannot pack for a processor with avx512_bf16."""

from __future__ import annotations

from pathlib import Path

import torch
from bitsandbytes.nn.modules import Linear4bit
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from playground.engine.loading.packing import leave_unpackable
from tests.engine.architectures import make, write


def four_bit(folder: Path) -> tuple[PreTrainedModel, list[Linear4bit]]:
    """Load a model whose rows are shorter than a block of scales, as such a processor does."""
    write(make("llama", seed=0), folder)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, quantization_config=BitsAndBytesConfig(load_in_4bit=True)
    )
    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = True
    return model, layers


def test_layers_that_cannot_be_packed_still_answer(tmp_path: Path) -> None:
    model, layers = four_bit(tmp_path / "model")
    assert leave_unpackable(model) == len(layers) > 0
    with torch.no_grad():
        assert bool(model(torch.tensor([[1, 2]])).logits.isfinite().all())
    assert leave_unpackable(model) == 0


def test_layers_that_can_be_packed_stay_as_they_are(tmp_path: Path) -> None:
    model, layers = four_bit(tmp_path / "model")
    for layer in layers:
        layer.out_features, layer.in_features = 96, 128
    assert leave_unpackable(model) == 0
    assert all(layer.support_avx512bf16_for_cpu for layer in layers)
