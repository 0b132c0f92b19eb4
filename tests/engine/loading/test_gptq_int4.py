"""GPTQ weights in torch's int4 matmul, and the check for a CUDA compiler that works."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from playground.engine.loading import gptq, gptq_int4
from playground.engine.loading.gptq_int4 import Int4Linear, Int4Weight, check, unpack
from playground.engine.loading.verify import count_parameters, verify
from playground.engine.machine import cuda_compiler
from tests.engine.driver import run_script
from tests.support.old_gptq import Kind, pack, write_pair

ROWS, COLUMNS = 64, 256
KINDS = [
    Kind(),
    Kind(group=32),
    Kind(group=-1),
    Kind(symmetric=False, group=64),
    Kind(act_order=True),
    Kind(symmetric=False, act_order=True, group=32),
]


def packed_weight(kind: Kind) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    draw = np.random.default_rng(5)
    tensors, meant = pack(draw.standard_normal((ROWS, COLUMNS)).astype(np.float32), kind, draw)
    return {k: torch.from_numpy(v) for k, v in tensors.items()}, torch.from_numpy(meant)


def unpacked(tensors: dict[str, torch.Tensor], zero_offset: int = 1) -> Int4Weight:
    weight = unpack(**tensors, zero_offset=zero_offset)
    assert weight is not None
    return weight


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_unpacking_gives_exactly_what_was_packed(kind: Kind) -> None:
    tensors, meant = packed_weight(kind)
    weight = unpacked(tensors)
    assert weight.group_size in (32, 64, 128, 256)
    assert (weight.order is not None) == kind.act_order
    assert torch.equal(weight.dequantized(), meant)


def test_the_second_format_stores_the_zero_itself() -> None:
    tensors, meant = packed_weight(Kind(symmetric=False))
    # None of AutoGPTQ's zeros is 16, so adding one to each carries into no other.
    tensors["qzeros"] = tensors["qzeros"] + 0x11111111
    assert torch.equal(unpacked(tensors, zero_offset=0).dequantized(), meant)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_product_is_that_of_the_dequantized_weight(kind: Kind) -> None:
    tensors, meant = packed_weight(kind)
    bias = torch.linspace(-1, 1, ROWS)
    layer = Int4Linear(unpacked(tensors), bias)
    x = torch.randn(2, 3, COLUMNS, generator=torch.Generator().manual_seed(1)).bfloat16()
    found = layer(x)
    assert (found.dtype, found.shape) == (torch.bfloat16, (2, 3, ROWS))
    wanted = x.float() @ meant.T + bias
    assert (found.float() - wanted).norm() / wanted.norm() < 0.01
    # With a scale that bf16 holds exactly, one-hot inputs give the weights without rounding.
    tensors["scales"] = torch.full_like(tensors["scales"], 0.125)
    exact = unpacked(tensors)
    one_hot = torch.eye(COLUMNS).bfloat16()
    assert torch.equal(Int4Linear(exact, None)(one_hot).float(), exact.dequantized().T)


def test_two_codes_make_a_byte_for_the_gpu() -> None:
    codes = torch.arange(16, dtype=torch.uint8).repeat(8, 2)
    pairs = gptq_int4.byte_pairs(codes)
    assert pairs.shape == (8, 16)
    assert pairs[0, :8].tolist() == [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF]


def test_what_the_product_cannot_take_is_left_alone() -> None:
    tensors, _ = packed_weight(Kind(group=16))
    assert unpack(**tensors, zero_offset=1) is None
    tensors, _ = packed_weight(Kind())
    # One group with more inputs than the other.
    tensors["g_idx"] = torch.cat([torch.zeros(129), torch.ones(127)]).int()
    assert unpack(**tensors, zero_offset=1) is None


def test_a_product_of_other_weights_is_found_out() -> None:
    tensors, _ = packed_weight(Kind())
    weight = unpacked(tensors)
    layer = Int4Linear(weight, None)
    check(layer, weight)
    layer.packed = layer.packed.flip(0)
    with pytest.raises(RuntimeError, match="off by"):
        check(layer, weight)


def test_it_counts_as_gptq() -> None:
    tensors, _ = packed_weight(Kind())
    model = torch.nn.Sequential(Int4Linear(unpacked(tensors), None))
    verified, kernel = verify(model)
    assert verified.modules == {"GPTQ 4-bit": 1}
    assert kernel == "torch _weight_int4pack_mm"
    assert count_parameters(model) == ROWS * COLUMNS
    # Half a byte each, and a scale and an offset in bf16 for each group of 128.
    assert verified.weight_bytes == ROWS * COLUMNS // 2 + ROWS * COLUMNS // 128 * 4


def test_whole_checkpoints_are_repacked_at_load(tmp_path: Path) -> None:
    kinds = [Kind(), Kind(symmetric=False, act_order=True, group=32)]
    pairs = [write_pair(tmp_path / str(i), kind) for i, kind in enumerate(kinds)]
    script = Path(__file__).with_name("loaded_logits.py")
    job = json.dumps([[str(old), str(plain)] for old, plain in pairs])
    for result in run_script(script, job, "int4"):
        assert result["difference"] < 0.02
        assert result["kernel"] == "torch _weight_int4pack_mm"
        assert result["modules"] == {"GPTQ 4-bit": 14, "bf16": 1}
        assert result["parameters"][0] == result["parameters"][1]


# The compiler


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)


VERSION = 'if [ "$1" = --version ]; then echo "Cuda compilation tools, release 13.0, V13"; exit; fi'
WRITES = 'while [ "$1" != -o ]; do shift; done; echo object > "$2"'


@pytest.mark.parametrize(
    ("text", "works"),
    [
        (f"{VERSION}\n{WRITES}", True),
        (f"{VERSION}\necho 'no host compiler' >&2; exit 1", False),
        (f"{VERSION}\nexit 0", False),
        (VERSION.replace("13.0", "12.4") + f"\n{WRITES}", False),
        ("exit 127", False),
    ],
)
def test_a_compiler_is_believed_once_it_has_compiled(
    text: str, works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin" / "nvcc", text)
    program(tmp_path / "tools" / "ninja", "exit 0")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'tools'}:/usr/bin:/bin")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    cuda_compiler.works.cache_clear()
    assert cuda_compiler.works() is works
    cuda_compiler.works.cache_clear()


def test_marlin_is_offered_only_where_it_can_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    stored = gptq.GptqSettings(4, 128, symmetric=True, act_order=False, stored={})
    for works, first in ((True, "gptq_marlin"), (False, "gptq_torch")):
        monkeypatch.setattr(cuda_compiler, "works", lambda works=works: works)
        kernels = gptq.kernels(stored, "cuda:0")
        assert kernels[0].backend == first
        assert [k.int4 for k in kernels].count(True) == 1
        # The last one runs anywhere.
        assert (kernels[-1].backend, kernels[-1].int4) == ("gptq_torch", False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert not any(k.int4 for k in gptq.kernels(stored, "cuda:0"))
