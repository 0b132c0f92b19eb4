"""Folders that cannot be loaded: a sentence with a remedy, and an engine that stays usable."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.core.facts import LoadedModel
from playground.core.precision import LOADABLE, Precision
from playground.core.protocol import Failed
from tests.engine.driver import Engine
from tests.engine.weights import read_weights, write_weights

MODELLING = """
import os
from transformers import LlamaConfig, LlamaForCausalLM
class OwnConfig(LlamaConfig):
    model_type = "own"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        print("LMP1 printed by the model")
        os.write(1, b"LMP1\\xff\\xff\\xff\\xff")
        os.system("echo from a child process; cat")
"""


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def truncated(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def corrupt_header(folder: Path) -> None:
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[8:60] = b"x" * 52
    weights.write_bytes(data)


def overlapping(folder: Path) -> None:
    """The header is whole and its offsets are wrong: only the library notices."""
    header, data = read_weights(folder / "model.safetensors")
    name = next(n for n in header if n.endswith("q_proj.weight"))
    start, end = header[name]["data_offsets"]
    header[name]["data_offsets"] = [start - 2, end - 2]
    write_weights(folder / "model.safetensors", header, data)


def pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def missing_weights(folder: Path) -> None:
    header, data = read_weights(folder / "model.safetensors")
    name = next(n for n in header if n.endswith("q_proj.weight"))
    header[name.replace("q_proj", "unknown")] = header.pop(name)
    write_weights(folder / "model.safetensors", header, data)


def prefixed(folder: Path) -> None:
    header, data = read_weights(folder / "model.safetensors")
    header.pop("__metadata__", None)
    renamed = {f"_orig_mod.{name}": entry for name, entry in header.items()}
    write_weights(folder / "model.safetensors", renamed, data)


def encoder_decoder(folder: Path) -> None:
    edit(folder / "config.json", model_type="t5", architectures=["T5ForConditionalGeneration"])


def other_shapes(folder: Path) -> None:
    edit(folder / "config.json", intermediate_size=1024)


def unknown_architecture(folder: Path) -> None:
    edit(folder / "config.json", model_type="brontosaurus", architectures=["Brontosaurus"])


def no_architecture(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["model_type"]
    (folder / "config.json").write_text(json.dumps(config))


def no_language_model(folder: Path) -> None:
    edit(folder / "config.json", model_type="vit", architectures=["ViTModel"])


def remote_code(folder: Path) -> None:
    edit(
        folder / "config.json",
        model_type="own",
        auto_map={"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"},
    )
    (folder / "own.py").write_text(MODELLING)


def broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": {}}')


def too_large(folder: Path) -> None:
    """A sparse file of 4 TB."""
    length = 4 * 2**40
    shape = [length // 2 // 4096, 4096]
    tensor = {"dtype": "BF16", "shape": shape, "data_offsets": [0, length]}
    head = json.dumps({"model.layers.0.mlp.up_proj.weight": tensor}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + length)


def untouched(folder: Path) -> None:
    pass


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine without a model; every failed load leaves it so."""
    engine = Engine({"HF_MODULES_CACHE": str(tmp_path_factory.mktemp("modules"))})
    engine.ready()
    yield engine
    engine.process.close()


@pytest.mark.parametrize(
    ("damage", "precision", "words"),
    [
        (no_config, Precision.BF16, "no config.json"),
        (no_tokenizer, Precision.BF16, "tokenizer"),
        (broken_tokenizer, Precision.BF16, "tokenizer"),
        (truncated, Precision.BF16, "truncated"),
        (corrupt_header, Precision.BF16, "damaged header"),
        (overlapping, Precision.BF16, "damaged"),
        (pickles, Precision.BF16, "pickled"),
        (missing_weights, Precision.BF16, "lack 1 of its weights"),
        (prefixed, Precision.BF16, "that it does not know, for example _orig_mod."),
        (encoder_decoder, Precision.BF16, "an encoder-decoder model"),
        (other_shapes, Precision.BF16, "shapes"),
        (unknown_architecture, Precision.BF16, "'brontosaurus' is unknown"),
        (no_architecture, Precision.BF16, "names no architecture"),
        (no_language_model, Precision.BF16, "no text-generation model"),
        (remote_code, Precision.BF16, "its own code"),
        (too_large, Precision.BF16, "4.40 TB of them for the weights"),
        (untouched, Precision.GPTQ, "not GPTQ-quantized"),
    ],
)
def test_bad_model(
    bare: Engine,
    model_folder: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    precision: Precision,
    words: str,
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    damage(folder)
    failed = bare.load(folder, precision, warm_up=False)
    assert isinstance(failed, Failed)
    assert words in failed.message, failed
    # What has other names is not mended by another download.
    if damage in (prefixed, missing_weights):
        assert "Download" not in failed.remedy
        assert ("“_orig_mod.”" in failed.remedy) is (damage is prefixed)
    assert failed.may_insist is (damage is too_large)
    assert failed.message.endswith(".")
    assert failed.remedy.endswith(".")
    assert failed.detail
    assert failed.alive
    assert failed.request_id is None


def test_a_quantized_checkpoint_at_another_precision(bare: Engine, gptq_folder: Path) -> None:
    for precision in set(LOADABLE) - {Precision.GPTQ}:
        failed = bare.load(gptq_folder, precision)
        assert isinstance(failed, Failed)
        assert "stored as GPTQ 4-bit" in failed.message


def test_devices_that_are_not_there(bare: Engine, model_folder: Path) -> None:
    for device in ("cuda:77", "tpu", ""):
        failed = bare.load(model_folder, Precision.BF16, device=device)
        assert isinstance(failed, Failed)
        assert "not there" in failed.message
        assert "cpu" in failed.remedy


def test_a_missing_folder(bare: Engine, tmp_path: Path) -> None:
    failed = bare.load(tmp_path / "nowhere", Precision.BF16)
    assert isinstance(failed, Failed)
    assert "no folder" in failed.message


def test_generating_without_a_model(bare: Engine) -> None:
    failed = bare.ask("Hello").failed
    assert failed.message == "No model is loaded."
    assert failed.request_id == bare.last_id


def test_after_failures_a_model_with_agreed_code_loads_whatever_it_prints(
    bare: Engine, model_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "own_model"
    shutil.copytree(model_folder, folder)
    remote_code(folder)
    loaded = bare.load(folder, Precision.BF16, trust_remote_code="agreed", warm_up=False)
    assert isinstance(loaded, LoadedModel), loaded
    assert loaded.architecture == "OwnModel"
    # What it printed went to stderr, and its child process read no command.
    assert len(bare.ask("Hello", max_new_tokens=5).answer.token_ids) == 5
    assert "printed by the model" in bare.process.stderr_tail()
    assert "from a child process" in bare.process.stderr_tail()
