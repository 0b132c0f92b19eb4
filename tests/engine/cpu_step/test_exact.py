"""The exact native functions: torch's bits, and what happens where torch has others."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
import torch

from playground.engine.cpu_step import build as native_library
from playground.engine.cpu_step import kernels as native
from playground.engine.cpu_step.attention import _attends_as_torch, attention, torchs_sums
from playground.engine.cpu_step.kernels import NativeProducts
from tests.engine.cpu_step.natives import COMPILER, KNOWN_ORDER, native_products, needs_compiler

pytestmark = needs_compiler
needs_known_order = pytest.mark.skipif(
    not KNOWN_ORDER, reason="torch may add in another order on this processor"
)


@needs_known_order
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3072, 1024), (128, 2816), (1008, 96), (16, 32), (8192, 512)])
def test_exact_floats(shape: tuple[int, int], dtype: torch.dtype, biased: bool) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape).to(dtype)
    bias = torch.randn(shape[0]).to(dtype) if biased else None
    multiply = native_products(exact=True).floats(weight, bias)
    assert multiply is not None
    for x in native._inputs(weight, dtype, telling=True):
        assert multiply(x).equal(torch.nn.functional.linear(x, weight, bias))


@needs_known_order
@pytest.mark.parametrize("shape", [(3072, 1024), (128, 2816), (1008, 96), (4, 32)])
def test_exact_int8(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weight = torch.randint(-127, 128, shape, dtype=torch.int8)
    scale = torch.rand(shape[0]).bfloat16()
    multiply = native_products(exact=True).int8(weight, scale)
    assert multiply is not None
    for x in native._inputs(weight, torch.bfloat16, telling=True):
        assert multiply(x).equal(torch._weight_int8pack_mm(x, weight, scale))


@needs_known_order
@pytest.mark.parametrize("size", [32, 96, 512, 1024, 2560, 4096, 16384])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_exact_norm(size: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    weight = torch.rand(size).to(dtype)
    norm = native_products(exact=True).norm(weight, 1e-5)
    assert norm is not None
    for _ in range(8):
        x = (torch.randn(1, size) * 10).to(dtype)
        theirs = torch.rms_norm(x.float(), (size,), None, 1e-5).to(dtype) * weight
        assert norm(x).equal(theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1024, 1024), (128, 2816), (64, 128)])
def test_another_order_of_sums_is_found_out(shape: tuple[int, int], dtype: torch.dtype) -> None:
    """Were torch to add in another order, exact products would not be taken for its own."""
    torch.manual_seed(0)
    weight = torch.randn(shape).to(dtype)
    reordered = native_products(exact=False).floats(weight, None)
    assert reordered is not None
    exact = native_products(exact=True)
    assert exact.checked(exact.floats(weight, None), reordered, weight, dtype) is reordered
    assert (exact.used, exact.wrong) == (0, 1)
    same = exact.floats(weight, None)
    assert same is not None
    other = exact.floats(weight, None)
    assert other is not None
    assert exact.checked(same, other, weight, dtype) is other, "one wrong bit spoils them all"


@needs_known_order
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sizes", [(16, 16, 64), (8, 2, 128), (4, 1, 96), (4, 4, 16)])
def test_exact_attention(sizes: tuple[int, int, int], dtype: torch.dtype) -> None:
    """Over lengths around those that torch takes together."""
    torch.manual_seed(0)
    heads, kv_heads, size = sizes
    scale, slots = size**-0.5, 1600
    ours = attention(*sizes, scale, dtype, native_products(exact=True))
    torchs = attention(*sizes, scale, dtype, None)
    for tokens in (1, 2, 5, 15, 16, 17, 33, 64, 100, 511, 512, 513, 530, 1024, 1030, slots):
        states = [torch.randn(1, kv_heads, slots, size).to(dtype) for _ in range(2)]
        turnable = (torch.randn(1, heads + kv_heads, 1, size) * 3).to(dtype)
        fresh = torch.randn(1, kv_heads, 1, size).to(dtype)
        cos, sin = torch.rand(2, size).to(dtype)
        found = []
        for attend in (ours, torchs):
            keys, values = (state.clone() for state in states)
            mixed = attend(turnable, fresh, cos, sin, keys, values, tokens - 1)
            found.append((mixed, keys, values))
        assert all(map(torch.equal, *found)), tokens


@needs_known_order
@pytest.mark.parametrize("group", [1, 4])
@pytest.mark.parametrize("size", [16, 64, 128])
def test_exact_attention_is_taken(size: int, group: int) -> None:
    assert takes_attention(native_products(exact=True), size, group)


def takes_attention(products: NativeProducts, size: int, group: int = 1) -> bool:
    sums = torchs_sums(products)
    return bool(sums) and _attends_as_torch(products, group, size, size**-0.5, torch.bfloat16, sums)


@needs_known_order
@pytest.mark.parametrize(
    ("ours", "another"),
    [
        ("(sum[0] + sum[2]) + (sum[1] + sum[3])", "(sum[0] + sum[1]) + (sum[2] + sum[3])"),
        ("part(t + 2)) + (part(t + 1) +", "part(t + 1)) + (part(t + 2) +"),
        ("long t = count - 1; t >= whole; t--", "long t = whole; t < count; t++"),
        ("0.30354260500649682f", "0.3035f"),
        ("sums[t / LANES % SUMS] +=", "sums[t / LANES / 8 % SUMS] +="),
        ("TOGETHER = 512", "TOGETHER = 256"),
    ],
)
def test_attention_of_another_order_is_found_out(
    ours: str, another: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were torch to do this differently, its attention would be taken, not ours."""
    folder = Path(native_library.__file__).parent
    for source in folder.glob("native_*.[ch]*"):
        text = source.read_text("utf-8")
        if source.name == "native_attention.cpp":
            assert text.count(ours) == 1
            text = text.replace(ours, another)
        (tmp_path / source.name).write_text(text, "utf-8")
    sources = [tmp_path / source.name for source in native_library._SOURCES]
    monkeypatch.setattr(native_library, "_SOURCES", sources)
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    assert COMPILER
    products = NativeProducts(ctypes.CDLL(str(native_library.compiled(COMPILER))), exact=True)
    if "SUMS" in ours and torchs_sums(native_products(exact=True)) == 1:
        assert torchs_sums(products) == 1  # of one vector nothing changes
    else:
        assert not takes_attention(products, 64)
