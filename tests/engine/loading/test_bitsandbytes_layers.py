"""bitsandbytes' layers in models and on processors for which they were not written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from playground.core.errors import ModelError
from playground.core.facts import LoadRequest
from playground.core.precision import Precision
from playground.engine.loading import load as loading
from playground.engine.loading.bitsandbytes_layers import leave_unpackable
from playground.engine.loading.int8_weight_only import Int8WeightOnlyLinear
from playground.engine.loading.verify import verify
from playground.engine.wire.progress import LoadProgress
from playground.engine.wire.sender import Sender
from tests.engine.architectures import make, write


@pytest.fixture(scope="module")
def progress() -> Iterator[LoadProgress]:
    """Where loads in this process report: nowhere."""
    with Path(os.devnull).open("wb") as file:
        yield LoadProgress(Sender(file.fileno()), 0.0)


def load(folder: Path, precision: Precision, progress: LoadProgress) -> PreTrainedModel:
    request = LoadRequest(name="t", folder=str(folder), commit="", precision=precision, threads=1)
    return loading.load(request, progress).model


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


def unpack(model: PreTrainedModel, plain: PreTrainedModel) -> None:
    """Give a plain model the weights of a quantized one."""
    for name, module in model.named_modules():
        target = plain.get_submodule(name)
        if isinstance(module, Int8WeightOnlyLinear):
            target.weight.data = module.weight * module.scale[:, None]
        elif isinstance(module, Linear8bitLt):
            target.weight.data = (module.weight.CB * module.weight.SCB[:, None] / 127).bfloat16()
        elif isinstance(module, Linear4bit):
            target.weight.data = dequantize_4bit(module.weight, module.weight.quant_state)


@pytest.mark.parametrize("name", ["mamba", "falcon_mamba", "jamba", "deepseek_v3"])
def test_layers_of_every_use_are_right(name: str, tmp_path: Path, progress: LoadProgress) -> None:
    """Weights that a model multiplies itself, inputs with gaps, of odd sizes, of 4 dimensions."""
    folder = write(make(name, seed=0), tmp_path / "model")
    ids = torch.arange(1, 9)[None]
    plain = load(folder, Precision.BF16, progress)
    with torch.no_grad():
        # int8 quantizes the activations, too.
        for how, most in (("int8", 0.1), ("int8wo", 0.1), ("nf4", 0.1)):
            model = load(folder, Precision(how), progress)
            unpack(model, plain)
            found = model(ids).logits.float()
            wanted = plain(ids).logits.float()
            assert (found - wanted).norm() < most * wanted.norm(), how
            skipped = [layer.rpartition(".")[2] for layer in verify(model)[0].skipped]
            if name.endswith("mamba"):
                assert skipped == ["dt_proj", "dt_proj", "lm_head"]


def test_a_copy_with_such_a_weight_quantized_says_what_to_take(
    tmp_path: Path, progress: LoadProgress
) -> None:
    folder = write(make("mamba", seed=0), tmp_path / "model")
    copy: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=BitsAndBytesConfig(load_in_8bit=True)
    )
    copy.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"backbone\.layers\.0\.mixer\.dt_proj of this") as caught:
        load(folder, Precision.INT8, progress)
    assert "the model it was made from" in caught.value.remedy
