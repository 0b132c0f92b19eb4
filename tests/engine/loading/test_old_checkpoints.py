"""Folders that AutoGPTQ wrote, loaded with current libraries and compared with their weights."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playground.core.facts import LoadedModel
from playground.core.model.checkpoint import read_checkpoint
from playground.core.precision import Precision
from playground.core.protocol import Failed
from playground.hub.local.models import folder_row
from tests.engine.driver import Engine, run_script
from tests.support.old_gptq import Kind, write_pair

#: An interpreter with auto-gptq, such as `playground env create auto-gptq` makes.
FOREIGN = os.environ.get("PLAYGROUND_AUTO_GPTQ_PYTHON", "")
FAST, SLOW = "gptqmodel TorchAtenLinear", "gptqmodel TorchLinear"
REPACKED = "torch _weight_int4pack_mm"
KINDS = {
    Kind(): FAST,
    Kind(act_order=True): FAST,
    Kind(symmetric=False): FAST,
    Kind(symmetric=False, act_order=True, group=32): FAST,
    Kind(shards=3): FAST,
    Kind(biases=True): FAST,
    Kind(biases=True, group=-1): REPACKED,
    Kind(biases=True, bits=8): SLOW,
    Kind(group=-1): REPACKED,
    Kind(group=-1, symmetric=False, act_order=True): REPACKED,
    Kind(bits=8): SLOW,
    Kind(bits=8, act_order=True, symmetric=False): SLOW,
    Kind(bits=3, group=64): SLOW,
    Kind(bits=3, symmetric=False, act_order=True): SLOW,
    Kind(bits=2, symmetric=False, group=32): SLOW,
    Kind(bits=2, act_order=True): SLOW,
}


def logits_of(pairs: list[tuple[Path, Path]], python: str = sys.executable) -> list[Any]:
    script = Path(__file__).with_name("loaded_logits.py")
    job = json.dumps([(str(old), str(plain)) for old, plain in pairs])
    found: list[Any] = run_script(script, job, python=python)
    return found


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("old")
    return {kind: write_pair(folder / str(i), kind) for i, kind in enumerate(KINDS)}


@pytest.fixture(scope="module")
def found(pairs: dict[Kind, tuple[Path, Path]]) -> dict[Kind, Any]:
    return dict(zip(pairs, logits_of(list(pairs.values())), strict=True))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_logits_are_those_of_the_unpacked_weights(kind: Kind, found: dict[Kind, Any]) -> None:
    result = found[kind]
    assert result["difference"] < 0.02
    assert result["kernel"] == KINDS[kind]
    assert result["modules"] == {f"GPTQ {kind.bits}-bit": 14, "bf16": 1}
    packed, plain = result["parameters"]
    assert packed == plain
    assert result["compiled"] == 0, "compiling takes minutes and gains nothing"
    # No note on the biases and caches that AutoGPTQ wrote and no model has.
    slow = ["slow torch kernel" in note for note in result["notes"]]
    assert slow == ([True] if KINDS[kind] == SLOW else [])


@pytest.mark.parametrize("kind", [Kind(), Kind(bits=3, group=64), Kind(shards=3)], ids=str)
def test_the_list_counts_what_is_packed(kind: Kind, pairs: dict[Kind, tuple[Path, Path]]) -> None:
    old, plain = pairs[kind]
    checkpoint = read_checkpoint(old)
    assert checkpoint.quantization == "gptq"
    assert checkpoint.parameters == read_checkpoint(plain).parameters
    row = folder_row(old)
    assert row.problem == ""
    assert (row.quantization, row.bits) == ("gptq", kind.bits)
    assert "GPTQ" in row.stored


def test_a_missing_shard_is_reported(pairs: dict[Kind, tuple[Path, Path]], tmp_path: Path) -> None:
    old = shutil.copytree(pairs[Kind(shards=3)][0], tmp_path / "old")
    next(old.glob("*-00002-of-00003.safetensors")).unlink()
    assert "incomplete" in folder_row(old).problem


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bits": 1}, "1 bits"),
        ({"group_size": 48}, "groups of 48"),
        ({"is_marlin_format": True}, "marlin"),
        ({"checkpoint_format": "awq_gemm"}, "awq_gemm"),
        ({"bits": None}, "does not say how"),
    ],
)
def test_what_no_kernel_takes_is_refused_before_anything_is_loaded(
    changes: dict[str, Any],
    words: str,
    pairs: dict[Kind, tuple[Path, Path]],
    tmp_path: Path,
    empty_engine: Engine,
) -> None:
    old = shutil.copytree(pairs[Kind()][0], tmp_path / "old")
    path = old / "quantize_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    failed = empty_engine.load(old, Precision.GPTQ)
    assert isinstance(failed, Failed), failed
    assert failed.alive
    assert words in failed.message
    assert failed.remedy


def test_an_answer_is_stamped_with_what_runs(
    pairs: dict[Kind, tuple[Path, Path]], empty_engine: Engine
) -> None:
    folder = pairs[Kind(bits=3, symmetric=False, act_order=True)][0]
    loaded = empty_engine.load(folder, Precision.GPTQ)
    assert isinstance(loaded, LoadedModel), loaded
    stamp = empty_engine.ask("ab", max_new_tokens=4, ignore_eos=True).answer.stamp
    assert stamp.kernel == SLOW
    assert stamp.verified.modules["GPTQ 3-bit"] == 14


def test_every_fused_step_adds_the_biases(
    pairs: dict[Kind, tuple[Path, Path]], start: Callable[..., Engine]
) -> None:
    engine = start()
    engine.ready()
    loaded = engine.load(pairs[Kind(biases=True)][0], Precision.GPTQ)
    assert isinstance(loaded, LoadedModel), loaded
    assert loaded.notes == ()
    assert set(loaded.step_seconds) >= {"model's forward", "fused step"}
    assert engine.ask("ab", max_new_tokens=4, ignore_eos=True).answer.text


@pytest.mark.skipif(not FOREIGN, reason="PLAYGROUND_AUTO_GPTQ_PYTHON names no interpreter")
def test_auto_gptq_itself_agrees(pairs: dict[Kind, tuple[Path, Path]]) -> None:
    for kind, result in zip(pairs, logits_of(list(pairs.values()), FOREIGN), strict=True):
        assert result["difference"] < 0.02, kind
        assert result["kernel"].startswith("auto-gptq QuantLinear"), kind
        assert result["modules"] == {f"GPTQ {kind.bits}-bit": 14, "fp16": 1}
        packed, plain = result["parameters"]
        assert packed == plain
