"""Model folders described without loading them, and the errors for bad ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from playground.core.errors import ModelError
from playground.core.facts import DeviceFacts, EngineFacts, Probe
from playground.core.model.checkpoint import find_gptq_sibling, precision_reasons, read_checkpoint
from playground.core.precision import LOADABLE, Precision
from playground.core.system.resources import resource
from tests.support.tiny_model import tiny_model_files, write_files

BUNDLED = resource("models", "classics-6m")
GPTQ = resource("models", "classics-6m-gptq")
CPU = DeviceFacts("cpu", "a processor", 8 * 2**30, 4 * 2**30)


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "tiny", tiny_model_files())


def test_the_bundled_model_is_described() -> None:
    found = read_checkpoint(BUNDLED)
    assert (found.architecture, found.quantization) == ("LlamaForCausalLM", "")
    assert (found.stored_dtype, found.context_length, found.vocabulary) == ("bf16", 1024, 4096)
    assert found.sizes.weights(Precision.BF16).total == 2 * found.parameters
    assert found.sizes.weights(Precision.FP32).total == 4 * found.parameters
    assert not found.has_chat_template


@pytest.mark.parametrize("architectures", [None, [], "LlamaForCausalLM", {"a": 1}])
def test_malformed_architectures_are_unknown(folder: Path, architectures: object) -> None:
    edit_config(folder, architectures=architectures)
    assert read_checkpoint(folder).architecture == "unknown"


def test_packed_weights_count_as_logical_weights() -> None:
    plain, packed = read_checkpoint(BUNDLED), read_checkpoint(GPTQ)
    assert packed.quantization == "gptq"
    assert packed.sizes.linear_values == plain.sizes.linear_values
    assert packed.parameters == plain.parameters
    assert packed.weight_bytes < plain.weight_bytes / 2


def test_a_gptq_folder_beside_a_plain_one_is_found(folder: Path) -> None:
    assert find_gptq_sibling(BUNDLED) == GPTQ
    assert find_gptq_sibling(folder) is None
    reasons = precision_reasons(read_checkpoint(folder), "cpu", None)
    assert "not GPTQ-quantized" in reasons[Precision.GPTQ]
    assert not any(reasons[p] for p in LOADABLE if p is not Precision.GPTQ)


def test_a_quantized_checkpoint_offers_only_its_own_precision() -> None:
    reasons = precision_reasons(read_checkpoint(GPTQ), "cpu", None)
    assert reasons[Precision.GPTQ] == ""
    assert "stored as GPTQ 4-bit" in reasons[Precision.BF16]


def test_a_missing_library_or_device_is_the_reason(folder: Path) -> None:
    facts = EngineFacts(
        python="3.11",
        devices=(CPU,),
        versions={},
        probes={"bitsandbytes": Probe(False, "It is missing.", "Install it.")},
    )
    checkpoint = read_checkpoint(folder)
    assert (
        precision_reasons(checkpoint, "cpu", facts)[Precision.INT8] == "It is missing. Install it."
    )
    assert "cuda:0" in precision_reasons(checkpoint, "cuda:0", facts)[Precision.BF16]


def remove(*names: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return spoil


def truncate(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def corrupt(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0" + b"not json at all!!")


def lose_a_shard(folder: Path) -> None:
    # A whole model.safetensors would be preferred to the index.
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (remove("config.json"), "no config.json"),
        (remove("tokenizer.json"), "lacks its tokenizer"),
        (remove("model.safetensors"), "no weights"),
        (truncate, "truncated"),
        (corrupt, "damaged header"),
        (pickle_only, "pickled weights"),
        (lose_a_shard, "model-2.safetensors missing"),
        (lambda f: (f / "config.json").write_text("{"), "not valid JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "damaged"),
        (shutil.rmtree, "no folder"),
    ],
)
def test_a_bad_folder_is_refused_with_a_remedy(
    folder: Path, spoil: Callable[[Path], object], says: str
) -> None:
    spoil(folder)
    with pytest.raises(ModelError) as caught:
        read_checkpoint(folder)
    assert says in caught.value.message
    assert caught.value.remedy.endswith(".")


def test_other_quantization_methods_and_remote_code_are_reported(folder: Path) -> None:
    edit_config(folder, quantization_config={"quant_method": "awq", "bits": 4}, auto_map={"a": "b"})
    found = read_checkpoint(folder)
    assert (found.quantization, found.remote_code) == ("awq", True)
    assert all("AWQ" in r for r in precision_reasons(found, "cpu", None).values())


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"load_in_8bit": True}, "int8"), ({"load_in_4bit": True}, "nf4")],
)
def test_saved_bitsandbytes_checkpoints_are_recognized(
    folder: Path, settings: dict[str, bool], name: str
) -> None:
    edit_config(folder, quantization_config={"quant_method": "bitsandbytes", **settings})
    assert read_checkpoint(folder).quantization == name
