"""What cannot continue a text, and formats of others: named, with what would help."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.core.model.checkpoint import precision_reasons, read_checkpoint, weight_files
from playground.core.precision import Precision
from playground.hub.local.prepare import check_precision
from playground.hub.local.resolve import resolve
from tests.support.old_gptq import Kind, write_pair
from tests.support.tiny_model import tiny_model_files, write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "tiny", tiny_model_files())


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


ENCODER_DECODER, MASKED = "encoder-decoder model", "masked language model"


@pytest.mark.parametrize(
    ("model", "architecture", "more", "words"),
    [
        ("t5", "T5ForConditionalGeneration", {"is_encoder_decoder": True}, ENCODER_DECODER),
        ("bart", "BartModel", {}, ENCODER_DECODER),
        ("marian", "MarianMTModel", {"is_encoder_decoder": True}, ENCODER_DECODER),
        ("own", "OwnModel", {"is_encoder_decoder": True}, ENCODER_DECODER),
        ("bert", "BertForMaskedLM", {}, MASKED),
        ("roberta", "RobertaModel", {}, MASKED),
        ("own", "OwnForMaskedLM", {}, MASKED),
        ("llama", "LlamaForSequenceClassification", {}, "it classifies texts"),
        ("vit", "ViTForImageClassification", {}, "it classifies images"),
    ],
)
def test_what_continues_no_text(
    model: str, architecture: str, more: dict[str, Any], words: str, folder: Path
) -> None:
    edit(folder, model_type=model, architectures=[architecture], **more)
    with pytest.raises(ModelError, match=words) as raised:
        read_checkpoint(folder)
    assert architecture in raised.value.message
    assert "ForCausalLM" in raised.value.remedy


@pytest.mark.parametrize(
    ("model", "architecture", "more"),
    [
        ("bart", "BartForCausalLM", {"is_encoder_decoder": False}),
        ("bert", "BertLMHeadModel", {"is_decoder": True}),
        ("gpt2", "GPT2LMHeadModel", {}),
        ("llava", "LlavaForConditionalGeneration", {}),
        ("own", "Own", {}),
    ],
)
def test_what_does(model: str, architecture: str, more: dict[str, Any], folder: Path) -> None:
    edit(folder, model_type=model, architectures=[architecture], **more)
    assert read_checkpoint(folder).architecture == architecture


def test_gguf_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "tiny-q4.gguf")
    for _ in range(2):
        with pytest.raises(ModelError, match="GGUF") as raised:
            read_checkpoint(folder)
        assert "llama.cpp" in raised.value.remedy
        (folder / "config.json").unlink(missing_ok=True)
    file = folder / "tiny-q4.gguf"
    with pytest.raises(ModelError, match=r"tiny-q4\.gguf is a GGUF file"):
        resolve(ModelSpec(str(file)), Precision.BF16)
    with pytest.raises(ModelError, match="a model is a folder"):
        resolve(ModelSpec(str(folder / "tokenizer.json")), Precision.BF16)


@pytest.mark.parametrize("with_config", [True, False])
def test_an_adapter_alone_names_its_model(with_config: bool, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "base_model_name_or_path": "somebody/base-7b"}
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=2))
    if not with_config:
        (folder / "config.json").unlink()
    with pytest.raises(ModelError, match="changes to somebody/base-7b") as raised:
        read_checkpoint(folder)
    assert "merge_and_unload" in raised.value.remedy


def test_the_same_weights_twice_count_once(folder: Path) -> None:
    once = read_checkpoint(folder)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "consolidated.safetensors").write_bytes(data)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "b.safetensors"}}')
    assert weight_files(folder) == (None, [folder / "model.safetensors"])
    twice = read_checkpoint(folder)
    assert (twice.parameters, twice.weight_bytes) == (once.parameters, once.weight_bytes)
    # Mistral's own files alone are not what transformers reads.
    for name in ("model.safetensors", "model.safetensors.index.json"):
        (folder / name).unlink()
    with pytest.raises(ModelError, match="no weights"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("method", "name", "reader"),
    [
        ("awq", "AWQ", "vLLM"),
        ("compressed-tensors", "compressed-tensors", "vLLM"),
        ("fp8", "FP8", "vLLM"),
        ("mxfp4", "MXFP4", "llama.cpp"),
        ("brand-new", "brand-new", ""),
    ],
)
def test_formats_of_others_are_named_with_the_original(
    method: str, name: str, reader: str, folder: Path
) -> None:
    edit(folder, quantization_config={"quant_method": method, "bits": 4})
    for card, original in (
        ("---\nbase_model: somebody/base-7b\n---\n", "Choose somebody/base-7b in bf16"),
        ("---\nbase_model:\n- somebody/base-7b\n---\n", "Choose somebody/base-7b in bf16"),
        ("No front matter", "Choose the model it was made from"),
    ):
        (folder / "README.md").write_text(card)
        with pytest.raises(ModelError, match=name) as raised:
            check_precision(read_checkpoint(folder), Precision.BF16)
        assert reader in raised.value.message
        assert original in raised.value.remedy


def test_falcon_cannot_be_quantized_by_bitsandbytes(folder: Path) -> None:
    edit(folder, model_type="falcon", architectures=["FalconForCausalLM"])
    reasons = precision_reasons(read_checkpoint(folder), "cpu", None)
    for precision in (Precision.INT8, Precision.INT8_WEIGHT_ONLY, Precision.NF4):
        assert "quantizes no layer" in reasons[precision]
    assert reasons[Precision.BF16] == ""


def test_caches_and_the_biases_that_autogptq_added_are_no_parameters(folder: Path) -> None:
    old, plain = write_pair(folder, Kind())
    stored = load((old / f"{Kind().base}.safetensors").read_bytes())
    assert any(name.endswith("cos_cached") for name in stored)
    assert sum(name.endswith("_proj.bias") for name in stored) == 14
    assert read_checkpoint(old).parameters == read_checkpoint(plain).parameters
    # Not all layers have one: these are the model's.
    stored.pop("model.layers.0.mlp.up_proj.bias")
    (old / f"{Kind().base}.safetensors").write_bytes(save(stored))
    more = sum(v.size for n, v in stored.items() if n.endswith("_proj.bias"))
    assert read_checkpoint(old).parameters == read_checkpoint(plain).parameters + more
    assert np.all(stored["model.layers.1.mlp.up_proj.bias"] == 0)
