"""The native kernels against torch's operations, and whole fused steps against `generate`."""

from __future__ import annotations

import ctypes
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from playground.engine.cpu_step import build
from playground.engine.cpu_step.build import library
from playground.engine.cpu_step.choose_step import (
    DisagreementError,
    Trial,
    choose_step,
    fused_steps,
)
from playground.engine.cpu_step.functions import torchs_attention, torchs_norm
from playground.engine.cpu_step.kernels import NativeKernels, RowFunction
from playground.engine.cpu_step.step import FusedStep, JoinedModel
from playground.engine.decoding.cached_loop import CachedDecoder, ForwardStep
from tests.engine.cpu_step.natives import COMPILER, native_kernels, needs_compiler
from tests.engine.decoders import FUSIBLE, check_greedy, make, prompt_of
from tests.engine.driver import PROMPTS, run_script

pytestmark = needs_compiler
SHAPES = [(3072, 1024), (128, 2816), (1000, 96), (1, 32)]
AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512"


@pytest.fixture
def kernels() -> NativeKernels:
    return native_kernels()


def near(ours: torch.Tensor, theirs: torch.Tensor, roundings: int = 1) -> bool:
    """Return whether results differ by at most `roundings` of bf16, or are close to 0."""
    ours, theirs = ours.float(), theirs.float()
    step = torch.finfo(torch.bfloat16).eps * roundings
    close = (ours - theirs).abs() <= theirs.abs() * step + 1e-4
    return bool(close.all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_linear_in_fp32_and_bf16(
    kernels: NativeKernels, shape: tuple[int, int], biased: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(shape).to(dtype), torch.randn(1, shape[1]).to(dtype)
    bias = torch.randn(shape[0]).to(dtype) if biased else None
    multiply = kernels.linear(weight, bias)
    assert multiply is not None
    exact = torch.nn.functional.linear(
        x.double(), weight.double(), None if bias is None else bias.double()
    )
    ours = multiply(x)
    assert (ours.dtype, ours.shape) == (dtype, (1, shape[0]))
    # No farther from the truth than sums in fp32 and one rounding of the result take it.
    terms = x.double().abs() @ weight.double().abs().T
    allowed = terms * 2**-20 + exact.abs() * torch.finfo(dtype).eps * 0.51
    assert ((ours.double() - exact).abs() <= allowed).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_int8(kernels: NativeKernels, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weight = torch.randint(-127, 128, shape, dtype=torch.int8)
    scale, x = torch.rand(shape[0]).bfloat16(), torch.randn(1, shape[1]).bfloat16()
    multiply = kernels.int8_linear(weight, scale)
    assert multiply is not None
    assert near(multiply(x), torch._weight_int8pack_mm(x, weight, scale))


@pytest.mark.skipif(not AVX512, reason="torch packs int4 otherwise without AVX-512")
@pytest.mark.parametrize("flags", [(), ("-mno-avx512bf16",)])
@pytest.mark.parametrize("group", [32, 128])
@pytest.mark.parametrize("shape", [(3072, 1024), (64, 128)])
def test_int4(shape: tuple[int, int], group: int, flags: tuple[str, ...]) -> None:
    """Both ways through the kernel: with the processor's bf16 dot products, and without."""
    assert COMPILER
    kernels = NativeKernels(ctypes.CDLL(str(build.compiled(COMPILER, flags))))
    torch.manual_seed(0)
    weight = torch.randint(0, 16, shape, dtype=torch.int32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(weight, 1)
    scales_and_zeros = torch.randn(shape[1] // group, shape[0], 2).bfloat16()
    x = torch.randn(1, shape[1]).bfloat16()
    multiply = kernels.int4_linear(packed, scales_and_zeros, group)
    assert multiply is not None
    theirs = torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, group, scales_and_zeros)
    assert near(multiply(x), theirs)


def test_what_it_does_not_take(kernels: NativeKernels) -> None:
    assert kernels.linear(torch.ones(8, 32, dtype=torch.float16), None) is None
    assert kernels.linear(torch.ones(8, 40), None) is None
    assert kernels.linear(torch.ones(32, 8).T, None) is None
    assert kernels.linear(torch.ones(8, 32), torch.ones(8).bfloat16()) is None
    assert kernels.int8_linear(torch.ones(8, 32), torch.ones(8).bfloat16()) is None
    assert (
        kernels.int4_linear(torch.ones(60, 16).byte(), torch.ones(1, 60, 2).bfloat16(), 32) is None
    )


def test_an_input_in_another_dtype_or_order(kernels: NativeKernels) -> None:
    weight = torch.eye(32).bfloat16()
    multiply = kernels.linear(weight, None)
    assert multiply is not None
    x = torch.arange(64.0).view(32, 2).T[:1]
    assert multiply(x).equal(x.bfloat16())


@pytest.mark.parametrize("size", [32, 96, 1024, 2560, 16384])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norm(kernels: NativeKernels, size: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    weight = torch.rand(size).to(dtype)
    norm = kernels.norm(weight, 1e-5)
    assert norm is not None
    for scale in (1e-3, 1, 10):
        x = (torch.randn(1, size) * scale).to(dtype)
        ours, theirs = norm(x).float(), torchs_norm(weight, 1e-5)(x).float()
        # Rounded twice: normalized, and weighted.
        assert ((ours - theirs).abs() <= 2 * torch.finfo(dtype).eps * theirs.abs() + 1e-6).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sizes", [(16, 16, 64), (8, 2, 128), (4, 1, 96), (4, 4, 16)])
def test_attention(kernels: NativeKernels, sizes: tuple[int, int, int], dtype: torch.dtype) -> None:
    """Over short and long caches; keys and values are written where torch's writes them."""
    torch.manual_seed(0)
    heads, kv_heads, size = sizes
    scale, slots = size**-0.5, 1600
    native = kernels.attention(*sizes, scale, dtype)
    assert native is not None
    for tokens in (1, 2, 15, 16, 17, 100, 513, 1030, slots):
        states = [torch.randn(1, kv_heads, slots, size).to(dtype) for _ in range(2)]
        queries_keys = (torch.randn(1, heads + kv_heads, 1, size) * 3).to(dtype)
        new_values = torch.randn(1, kv_heads, 1, size).to(dtype)
        cos, sin = torch.rand(2, size).to(dtype)
        found = []
        for attend in (native, torchs_attention(*sizes, scale)):
            keys, values = (state.clone() for state in states)
            mixed = attend(queries_keys, new_values, cos, sin, keys, values, tokens - 1)
            found.append((mixed, keys, values))
        (ours, our_keys, our_values), (theirs, their_keys, their_values) = found
        assert torch.equal(our_values, their_values)
        rounding = torch.finfo(dtype).eps
        assert torch.allclose(
            our_keys.float(), their_keys.float(), rtol=rounding, atol=16 * rounding
        )
        # Weights and scores are rounded too on torch's way, relative to the largest value.
        largest = float(states[1][:, :, :tokens].abs().max())
        allowed = largest * max(8 * rounding, 1e-4)
        assert float((ours.float() - theirs.float()).abs().max()) <= allowed


def test_what_attention_and_norm_do_not_take(kernels: NativeKernels) -> None:
    assert kernels.norm(torch.ones(40), 1e-5) is None
    assert kernels.norm(torch.ones(32).half(), 1e-5) is None
    assert kernels.attention(4, 4, 24, 1.0, torch.float32) is None
    assert kernels.attention(4, 3, 16, 1.0, torch.float32) is None
    assert kernels.attention(4, 4, 16, 1.0, torch.float16) is None


def test_compiled_once_and_again_when_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    assert COMPILER
    first = build.compiled(COMPILER)
    made = first.stat().st_mtime_ns
    assert build.compiled(COMPILER) == first
    assert first.stat().st_mtime_ns == made
    assert build.compiled(COMPILER, ("-DCHANGED",)) != first
    left = set(first.parent.iterdir()) - set(first.parent.glob("kernels-*.so"))
    assert {path.name for path in left} == {"compiling.lock"}


def test_lanes_that_start_together_compile_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path / "home"))
    calls, counting = tmp_path / "calls", tmp_path / "g++"
    counting.write_text(f'#!/bin/sh\necho called >> "{calls}"\nexec {COMPILER} "$@"\n')
    counting.chmod(0o755)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(build.compiled, [str(counting)] * 2)
    assert one == other
    assert calls.read_text() == "called\n"


# Steps


def test_without_a_working_compiler_no_kernel_is_native(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin" / "g++"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(broken.parent) + os.pathsep + "/bin")
    library.cache_clear()
    try:
        choice = choose_step(make(FUSIBLE["llama"]()), 2048)
    finally:
        library.cache_clear()
    assert set(choice.seconds) == {"model's forward", "fused step"}


@pytest.mark.parametrize("factor", [1.02, float("nan")])
def test_a_wrong_kernel_is_found_out(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """An error of 2 % exceeds rounding."""
    linear = NativeKernels.linear

    def spoilt(self: NativeKernels, *tensors: Any) -> RowFunction | None:
        multiply = linear(self, *tensors)
        return multiply and (lambda x: multiply(x) * factor)

    monkeypatch.setattr(NativeKernels, "linear", spoilt)
    choice = choose_step(make(FUSIBLE["llama"]()), 2048)
    assert choice.taken is not None
    assert choice.taken.name != "fused step, native kernels"
    assert "fused step, native kernels" not in choice.seconds
    error = choice.failures.pop("fused step, native kernels")
    assert isinstance(error, DisagreementError)
    assert "differ from the model's" in str(error)
    assert choice.failures == {}


def test_every_step_is_tried_against_the_forward() -> None:
    model = make(FUSIBLE["llama"]())
    forward = ForwardStep(model)
    trial = Trial(model, 2048, forward)
    for step in (forward, forward, *fused_steps(model, 2048)):
        assert len(trial(step)) == 3
    choice = choose_step(model, 2048)
    assert set(choice.seconds) == {
        "model's forward",
        "fused step",
        "fused step, native attention",
        "fused step, native kernels",
    }
    assert choice.failures == {}


def test_what_no_kernel_takes_is_tried_once() -> None:
    names = [step.name for step in fused_steps(make(FUSIBLE["llama"](), torch.float16), 2048)]
    assert names == ["fused step"]


def test_weights_are_not_copied() -> None:
    """The joined weights serve all steps, and the modules are views of them."""
    model = make(FUSIBLE["llama"]())
    joined = JoinedModel(model)
    assert FusedStep(joined, 2048)
    attention = model.model.layers[0].self_attn
    whole = attention.q_proj.weight.untyped_storage().data_ptr()
    assert attention.v_proj.weight.untyped_storage().data_ptr() == whole
    kernels = native_kernels()
    assert FusedStep(joined, 2048, kernels, kernels)
    assert attention.k_proj.weight.untyped_storage().data_ptr() == whole
    # Joined again they stay where they are.
    assert FusedStep(JoinedModel(model), 2048)
    assert attention.k_proj.weight.untyped_storage().data_ptr() == whole


@pytest.mark.parametrize("name", list(FUSIBLE))
def test_native_steps_over_the_growth_of_the_cache(name: str) -> None:
    model = make(FUSIBLE[name](), torch.float32)
    kernels, joined = native_kernels(), JoinedModel(model)
    for linear, attention, kind in (
        (kernels, kernels, "kernels"),
        (None, kernels, "attention"),
        (kernels, None, "linear layers"),
    ):
        decoder = CachedDecoder(
            model, frozenset(), 2048, FusedStep(joined, 2048, linear, attention)
        )
        assert decoder.name == f"cached loop, fused step, native {kind}"
        for length in (500, 3):
            check_greedy(decoder, model, prompt_of(length), 30)


def test_steps_of_the_bundled_model(model_folder: Path, gptq_folder: Path) -> None:
    """At each precision, each step's logits and greedy tokens agree with the model's."""
    job = {
        "model": str(model_folder),
        "gptq": str(gptq_folder),
        "threads": 1,
        "prompts": [*PROMPTS, "It was a dark and stormy night", "Call me Ishmael. Some years ago"],
    }
    names = run_script(Path(__file__).with_name("bundled_steps.py"), json.dumps(job))
    every = ["fused step", "fused step, native attention", "fused step, native kernels"]
    assert names == {
        "fp16": every[:1],
        # Where only the head is a linear layer that kernels take, that one is native.
        **dict.fromkeys(("fp32", "bf16", "int8", "int8wo", "nf4", "gptq"), every),
    }
