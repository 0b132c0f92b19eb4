"""The native products: against torch's, and a whole step of them against generate."""

from __future__ import annotations

import ctypes
import json
import operator
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from playground.engine.cpu_step import build as native_library
from playground.engine.cpu_step import kernels as native
from playground.engine.cpu_step.build import library
from playground.engine.cpu_step.kernels import NativeProducts
from playground.engine.cpu_step.step import FusedStep, fused_step
from playground.engine.decoding.cached_loop import CachedDecoder
from tests.engine.cpu_step.natives import COMPILER, KNOWN_ORDER, native_products, needs_compiler
from tests.engine.decoders import LEAN, SIZES, decoder_for, ids_of, make, prompt_of
from tests.engine.driver import PROMPTS

pytestmark = needs_compiler
SHAPES = [(3072, 1024), (128, 2816), (1000, 96), (1, 32)]
NATIVE = "own loop, lean step, native products"
REORDERED = f"{NATIVE} in another order of sums"
AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512"


@pytest.fixture
def products() -> NativeProducts:
    return native_products(exact=False)


def near(ours: Any, theirs: Any, roundings: int = 1) -> bool:
    """Whether results lie at most so many roundings of their dtype apart, or nearly cancel."""
    ours, theirs = ours.float(), theirs.float()
    step = torch.finfo(torch.bfloat16).eps * roundings
    close = (ours - theirs).abs() <= theirs.abs() * step + 1e-4
    return bool(close.all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_floats(
    products: NativeProducts, shape: tuple[int, int], biased: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(shape).to(dtype), torch.randn(1, shape[1]).to(dtype)
    bias = torch.randn(shape[0]).to(dtype) if biased else None
    multiply = products.floats(weight, bias)
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
def test_int8(products: NativeProducts, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weight = torch.randint(-127, 128, shape, dtype=torch.int8)
    scale, x = torch.rand(shape[0]).bfloat16(), torch.randn(1, shape[1]).bfloat16()
    multiply = products.int8(weight, scale)
    assert multiply is not None
    assert near(multiply(x), torch._weight_int8pack_mm(x, weight, scale))


@pytest.mark.skipif(not AVX512, reason="torch packs int4 otherwise without AVX-512")
@pytest.mark.parametrize("flags", [(), ("-mno-avx512bf16",)])
@pytest.mark.parametrize("group", [32, 128])
@pytest.mark.parametrize("shape", [(3072, 1024), (64, 128)])
def test_int4(shape: tuple[int, int], group: int, flags: tuple[str, ...]) -> None:
    """Both ways through it: with the processor's products of bf16 pairs, and without."""
    assert COMPILER
    products = NativeProducts(ctypes.CDLL(str(native_library.compiled(COMPILER, flags))), False)
    torch.manual_seed(0)
    weight = torch.randint(0, 16, shape, dtype=torch.int32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(weight, 1)
    scales_and_zeros = torch.randn(shape[1] // group, shape[0], 2).bfloat16()
    x = torch.randn(1, shape[1]).bfloat16()
    multiply = products.int4(packed, scales_and_zeros, group)
    assert multiply is not None
    theirs = torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, group, scales_and_zeros)
    assert near(multiply(x), theirs)


def test_what_it_does_not_take(products: NativeProducts) -> None:
    assert products.floats(torch.ones(8, 32, dtype=torch.float16), None) is None
    assert products.floats(torch.ones(8, 40), None) is None
    assert products.floats(torch.ones(32, 8).T, None) is None
    assert products.floats(torch.ones(8, 32), torch.ones(8).bfloat16()) is None
    assert products.int8(torch.ones(8, 32), torch.ones(8).bfloat16()) is None
    assert products.int4(torch.ones(60, 16).byte(), torch.ones(1, 60, 2).bfloat16(), 32) is None


def test_an_input_in_another_dtype_or_order(products: NativeProducts) -> None:
    weight = torch.eye(32).bfloat16()
    multiply = products.floats(weight, None)
    assert multiply is not None
    x = torch.arange(64.0).view(32, 2).T[:1]
    assert multiply(x).equal(x.bfloat16())


def test_compiled_once_and_again_when_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    assert COMPILER
    unfinished = tmp_path / "cache" / "native" / "compiling-before"
    unfinished.mkdir(parents=True)
    first = native_library.compiled(COMPILER)
    assert not unfinished.exists()
    made = first.stat().st_mtime_ns
    assert native_library.compiled(COMPILER) == first
    assert first.stat().st_mtime_ns == made
    assert native_library.compiled(COMPILER, ("-DCHANGED",)) != first
    left = set(first.parent.iterdir()) - set(first.parent.glob("products-*.so"))
    assert {path.name for path in left} == {"compiling.lock"}


def test_lanes_that_start_together_compile_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path / "home"))
    calls, counting = tmp_path / "calls", tmp_path / "g++"
    counting.write_text(f'#!/bin/sh\necho called >> "{calls}"\nexec {COMPILER} "$@"\n')
    counting.chmod(0o755)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(native_library.compiled, [str(counting)] * 2)
    assert one == other
    assert calls.read_text() == "called\n"


def test_without_a_working_compiler_the_step_is_exact(
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
        step = fused_step(make(LEAN["llama"]()), 2048, reordered_from=0)
    finally:
        library.cache_clear()
    assert step is not None
    assert step.name == "lean step"


@pytest.mark.parametrize("factor", [1.02, float("nan")])
def test_a_wrong_product_is_not_taken(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Two hundredths are no matter of rounding."""
    made = NativeProducts.floats

    def spoilt(self: NativeProducts, weight: Any, bias: Any) -> native.Product | None:
        multiply = made(self, weight, bias)
        return multiply and (lambda x: multiply(x) * factor)

    monkeypatch.setattr(NativeProducts, "floats", spoilt)
    step = fused_step(make(LEAN["llama"]()), 2048, reordered_from=0)
    assert step is not None
    assert step.name == "lean step"


def test_weights_are_not_copied() -> None:
    """The joined weights serve both steps, and the modules look into them."""
    model = make(LEAN["llama"]())
    assert FusedStep(model, 2048, True)
    attention = model.model.layers[0].self_attn
    joined = attention.q_proj.weight.untyped_storage().data_ptr()
    assert attention.v_proj.weight.untyped_storage().data_ptr() == joined
    assert FusedStep(model, 2048, True, native_products(exact=False))
    assert attention.k_proj.weight.untyped_storage().data_ptr() == joined


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", list(LEAN))
def test_a_native_step_chooses_what_generate_chooses(name: str, exact: bool) -> None:
    """In fp32, where no two logits are as good as equal; over the growth of the cache."""
    model = make(LEAN[name](), torch.float32)
    step = FusedStep(model, 2048, True, native_products(exact))
    own = CachedDecoder(model, frozenset(), 2048, step)
    assert own.name == (NATIVE if exact else REORDERED)
    generate = decoder_for(model, "generate")
    for length in (500, 3):
        prompt = prompt_of(length)
        assert ids_of(own, prompt, 30)[0] == ids_of(generate, prompt, 30)[0]


def test_native_steps_on_the_bundled_model(model_folder: Path, gptq_folder: Path) -> None:
    """Every precision that has native products, in torch's order and in another one.

    Exact steps give generate's tokens. Where the others' differ, the two had logits that another
    order of summation swaps: each may move by the noise.
    """
    prompts = [*PROMPTS, "It was a dark and stormy night", "Call me Ishmael. Some years ago"]
    job = {
        "model": str(model_folder),
        "gptq": str(gptq_folder),
        "threads": 1,
        "new_tokens": 64,
        "prompts": prompts,
    }
    command = [sys.executable, "-m", "tests.engine.cpu_step.native_tokens", json.dumps(job)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    found = json.loads(made.stdout.splitlines()[-1])
    assert set(found) == {"fp32", "bf16", "int8wo", "gptq"}
    for precision, answers in found.items():
        exact, reordered = (name for name in answers if name.startswith("own loop"))
        assert reordered == REORDERED
        assert exact == NATIVE or not KNOWN_ORDER, precision
        assert answers[exact] == answers["generate"], precision
        assert answers["apart"] <= 2, precision
        same = map(operator.eq, answers[reordered], answers["generate"])
        assert sum(same) >= (len(prompts) if precision == "fp32" else 3), precision


def test_the_fastest_sums_can_be_asked_for() -> None:
    sizes = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 5}
    model = make(LlamaConfig(**(SIZES | sizes)), torch.float32)  # 84 MB of weights
    assert decoder_for(model, "fast").name == REORDERED
    if KNOWN_ORDER:
        assert decoder_for(model).name == decoder_for(model, "exact").name == NATIVE
    small = make(LEAN["llama"]())
    assert decoder_for(small, "fast").name == decoder_for(small).name


def test_a_large_model_in_an_unknown_order_unless_exactness_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Products in torch's order are at hand, but torch adds in another one here."""
    sizes = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 5}
    model = make(LlamaConfig(**(SIZES | sizes)), torch.float32)  # 84 MB of weights
    checked = NativeProducts.checked

    def refusing(self: NativeProducts, made: native.Product | None, *args: Any) -> native.Product:
        return checked(self, None if self.exact else made, *args)

    monkeypatch.setattr(NativeProducts, "checked", refusing)
    assert decoder_for(model).name == REORDERED
    exact = decoder_for(model, "exact")
    assert exact.name == "own loop, lean step"
    prompt = prompt_of(9)
    assert ids_of(exact, prompt, 12)[0] == ids_of(decoder_for(model, "generate"), prompt, 12)[0]
