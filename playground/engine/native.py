"""One token's arithmetic in C++: compiled on this machine once, kept, and called by ctypes.

Products, measured on two cores with avx512_bf16, 3072 x 1024 weights out of the cache: torch's
own of one row read 14 GB/s, oneDNN's with packed weights 23 (bf16) to 38 (fp32), those that
torch.compile generates 34 to 41, these 48 to 57: what a plain sum reads. For int4
torch.compile stays behind torch's own product, of whose speed this one has the double. Norm
and attention took 12 to 15 % off a step of 350M parameters with a short text.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from playground.core import paths

log = logging.getLogger(__name__)

_SOURCE = Path(__file__).with_name("native_products.cpp")
_FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-w")
_COMPILE_S = 120.0  # more is taken for a compiler that hangs
_BLOCK = 32  # columns that the loops take at once
_LANES = 16  # values that the other loops take at once
_INT4_ROWS = 64  # that torch packs together
_POINTER, _LONG, _INT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int
#: Pointers and sizes of each function; the threads come last.
_SIGNATURES = {
    "multiply_fp32": (4, 2),
    "multiply_bf16": (4, 2),
    "multiply_int8": (4, 2),
    "multiply_int4": (4, 3),
}
_FLOATS = {torch.float32: "fp32", torch.bfloat16: "bf16"}

Product = Callable[[Any], Any]
#: From queries and keys [1, heads + kv_heads, 1, size], values [1, kv_heads, 1, size], cos and
#: sin [size], the cache's keys and values, and the position to [1, heads * size].
Attend = Callable[[Any, Any, Any, Any, Any, Any, int], Any]


class NativeProducts:
    """Makes functions of one token's row; None for what the code does not take.

    A product keeps its weights alive and reads them where they are: nothing is copied.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self.used = 0  # products, of those that `checked` looked at

    def floats(self, weight: Any, bias: Any) -> Product | None:
        """A linear layer in fp32 or bf16: weight [out, in], bias [out] or None."""
        name = _FLOATS.get(weight.dtype)
        if name is None or (bias is not None and bias.dtype != weight.dtype):
            return None
        return self._make(f"multiply_{name}", weight, bias, weight.dtype, weight.shape)

    def int8(self, weight: Any, scale: Any) -> Product | None:
        """Weight int8 [out, in], scale bf16 [out]; the input is bf16."""
        if weight.dtype != torch.int8 or scale.dtype != torch.bfloat16:
            return None
        return self._make("multiply_int8", weight, scale, torch.bfloat16, weight.shape)

    def int4(self, packed: Any, scales_and_zeros: Any, group: int) -> Product | None:
        """A weight as torch packs it for `_weight_int4pack_mm_for_cpu`; the input is bf16.

        Scales and zeros [in / group, out, 2], bf16. The packing depends on the processor.
        """
        groups, rows, _ = scales_and_zeros.shape
        if torch.backends.cpu.get_cpu_capability() != "AVX512" or rows % _INT4_ROWS or group % 2:
            return None
        shape = (rows, groups * group)
        if packed.numel() * packed.element_size() * 2 != shape[0] * shape[1]:
            return None
        return self._make("multiply_int4", packed, scales_and_zeros, torch.bfloat16, shape, group)

    def norm(self, weight: Any, epsilon: float) -> Product | None:
        """RMSNorm of rows [1, size] as transformers does it, weight [size]."""
        dtype, size = weight.dtype, weight.numel()
        if dtype not in _FLOATS or size % _LANES or not weight.is_contiguous():
            return None
        function = getattr(self._library, f"normalize_{_FLOATS[dtype]}")
        function.argtypes = [_POINTER] * 3 + [_LONG, ctypes.c_float]
        function.restype = None
        empty = torch.empty

        def run(x: Any) -> Any:
            x = x.to(dtype).contiguous()
            y = empty((1, size), dtype=dtype)
            function(x.data_ptr(), weight.data_ptr(), y.data_ptr(), size, epsilon)
            return y

        return run

    def attend(
        self, heads: int, kv_heads: int, size: int, scale: float, dtype: Any
    ) -> Attend | None:
        """Turn, keep and mix one token's states: see `Attend`."""
        if dtype not in _FLOATS or size % _LANES or heads % kv_heads:
            return None
        function = getattr(self._library, f"attend_{_FLOATS[dtype]}")
        function.argtypes = [_POINTER] * 7 + [_LONG] * 5 + [ctypes.c_float, _INT]
        function.restype = None
        empty, threads = torch.empty, torch.get_num_threads()

        def run(
            turnable: Any, fresh: Any, cos: Any, sin: Any, keys: Any, values: Any, position: int
        ) -> Any:
            turnable, fresh = turnable.contiguous(), fresh.contiguous()
            out = empty((1, heads * size), dtype=dtype)
            function(
                turnable.data_ptr(),
                fresh.data_ptr(),
                cos.data_ptr(),
                sin.data_ptr(),
                keys.data_ptr(),
                values.data_ptr(),
                out.data_ptr(),
                heads,
                kv_heads,
                size,
                keys.shape[2],
                position,
                scale,
                threads,
            )
            return out

        return run

    def checked(self, made: Product | None, other: Product, columns: int, dtype: Any) -> Product:
        """Return the native product where it gives what the other gives, else the other.

        Both keep sums in fp32: for a random input each result may be rounded the other way,
        and where terms cancel the sums differ by a little of the largest result.
        """
        if made is None:
            return other
        x = torch.randn(1, columns, generator=torch.Generator().manual_seed(0)).to(dtype)
        theirs = other(x)
        ours, theirs, step = made(x).float(), theirs.float(), torch.finfo(theirs.dtype).eps
        allowed = theirs.abs() * step + theirs.abs().max() * 2**-16
        if not bool(((ours - theirs).abs() <= allowed).all()):  # so that NaN fails
            return other
        self.used += 1
        return made

    def _make(
        self, name: str, weight: Any, second: Any, dtype: Any, shape: Any, *more: int
    ) -> Product | None:
        rows, columns = shape
        function = getattr(self._library, name, None)
        both = [tensor for tensor in (weight, second) if tensor is not None]
        if function is None or columns % _BLOCK or not all(t.is_contiguous() for t in both):
            return None
        if any(tensor.device.type != "cpu" for tensor in both):
            return None
        pointers, sizes = _SIGNATURES[name]
        function.argtypes = [*[_POINTER] * pointers, *[_LONG] * sizes, _INT]
        function.restype = None
        sized = (rows, columns, *more, torch.get_num_threads())
        empty = torch.empty

        def run(x: Any) -> Any:
            x = x.to(dtype).contiguous()
            y = empty((1, rows), dtype=dtype)
            # Asking the tensors for their addresses each time keeps them alive.
            function(
                weight.data_ptr(),
                None if second is None else second.data_ptr(),
                x.data_ptr(),
                y.data_ptr(),
                *sized,
            )
            return y

        return run


def native_products() -> NativeProducts | None:
    """Compile what is not there yet, and return it; None where that cannot be done here."""
    library = _library()
    return NativeProducts(library) if library else None


@functools.cache
def _library() -> ctypes.CDLL | None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    compiler = next(filter(None, map(shutil.which, ("g++", "c++", "clang++"))), None)
    try:
        return ctypes.CDLL(str(compiled(compiler))) if compiler else None
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("the native products could not be compiled: %s", error)
        return None


def compiled(compiler: str, extra: tuple[str, ...] = ()) -> Path:
    """Return the library, made where it is not kept yet. Raises OSError, SubprocessError."""
    flags = (*_FLAGS, *extra)
    made_by = Path(compiler).resolve()
    parts = (_SOURCE.read_text("utf-8"), *flags, made_by, made_by.stat().st_mtime_ns, _processor())
    key = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]
    path = paths.cache_dir() / "native" / f"products-{key}.so"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            new = Path(temporary) / path.name
            subprocess.run(
                [compiler, *flags, str(_SOURCE), "-o", str(new)],
                check=True,
                capture_output=True,
                timeout=_COMPILE_S,
                env={**os.environ, "LC_ALL": "C"},
            )
            new.replace(path)
    return path


def _processor() -> str:
    """What -march=native looks at: a home folder may be shared by machines."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "model name"))}))
