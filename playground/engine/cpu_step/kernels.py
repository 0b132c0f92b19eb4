"""One token's arithmetic in C++, called by ctypes over the weights as they lie in memory.

Every product is there twice. The exact one adds in the order of torch's own libraries, and is
taken where its results are theirs bit for bit; the other adds in an order of its own. Measured
on two cores with avx512_bf16, 3072 x 1024 weights out of the cache: torch's own products of one
row read 14 GB/s, oneDNN's with packed weights 23 (bf16) to 38 (fp32), those that torch.compile
generates 34 to 41, these 48 to 57: what a plain sum reads. The exact ones are as fast in fp32
and int8, and a tenth slower in bf16, where they read sixteen rows at once. For int4
torch.compile stays behind torch's own product, of whose speed this one has the double; in
torch's order it has none of that gain, so that there is no exact one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import torch

_BLOCK = 32  # columns that the loops take at once
_LANES = 16  # values that the other loops take at once
_INT4_ROWS = 64  # that torch packs together
_EXACT_ROWS = {"fp32": 4, "bf16": 16, "int8": 4}  # that an exact product takes at once
_EPSILON = 1e-6  # of a norm that is tried
_INPUTS = 4  # that a function is compared over
_TELLING_ROWS = 64  # whose results nearly cancel
_POINTER, _LONG, _INT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int
_FLOATS = {torch.float32: "fp32", torch.bfloat16: "bf16"}

Product = Callable[[Any], Any]
#: From queries and keys [1, heads + kv_heads, 1, size], values [1, kv_heads, 1, size], cos and
#: sin [size], the cache's keys and values [1, kv_heads, slots, size], and the position, to what
#: each function says. Keys and values are put into the cache.
Keep = Callable[[Any, Any, Any, Any, Any, Any, int], Any]


class NativeProducts:
    """Makes functions of one token's row; None for what the code does not take.

    A product keeps its weights alive and reads them where they are: nothing is copied.
    """

    def __init__(self, library: ctypes.CDLL, exact: bool) -> None:
        self._library = library
        self.exact = exact
        # Products of those that `checked` looked at:
        self.used = 0
        self.missing = 0
        self.wrong = 0
        self._norms: dict[int, bool] = {}  # by size, whether an exact one is

    def floats(self, weight: Any, bias: Any) -> Product | None:
        """A linear layer in fp32 or bf16: weight [out, in], bias [out] or None."""
        name = _FLOATS.get(weight.dtype)
        if name is None or (bias is not None and bias.dtype != weight.dtype):
            return None
        return self._product(name, weight, bias, weight.dtype, weight.shape)

    def int8(self, weight: Any, scale: Any) -> Product | None:
        """Weight int8 [out, in], scale bf16 [out]; the input is bf16."""
        if weight.dtype != torch.int8 or scale.dtype != torch.bfloat16:
            return None
        return self._product("int8", weight, scale, torch.bfloat16, weight.shape)

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
        return self._product("int4", packed, scales_and_zeros, torch.bfloat16, shape, group)

    def norm(self, weight: Any, epsilon: float) -> Product | None:
        """RMSNorm of rows [1, size] as transformers does it, weight [size]."""
        dtype, size = weight.dtype, weight.numel()
        if dtype not in _FLOATS or size % _BLOCK or not weight.is_contiguous():
            return None
        if self.exact and not self._sums_squares(size):
            return None
        return self._norm(weight, epsilon)

    def keep(self, heads: int, kv_heads: int, size: int, dtype: Any) -> Keep | None:
        """Turn and keep one token's states; gives the turned queries [1, heads, 1, size]."""
        if dtype not in _FLOATS:
            return None
        return self._keep(f"keep_{_FLOATS[dtype]}", heads, kv_heads, size, dtype)

    def attend(
        self, heads: int, kv_heads: int, size: int, scale: float, dtype: Any, sums: int = 0
    ) -> Keep | None:
        """Turn, keep and mix one token's states; gives [1, heads, 1, size].

        An exact one there is in bf16 only, for the `sums` of `weigh` that torch has.
        """
        if dtype not in _FLOATS or size % _LANES or heads % kv_heads:
            return None
        name = f"attend_{_FLOATS[dtype]}"
        if self.exact:
            name = f"exact_{name}_{sums}"
        if not hasattr(self._library, name):
            return None
        more = (scale, torch.get_num_threads())
        return self._keep(name, heads, kv_heads, size, dtype, *more)

    def weigh(self, scores: Any, sums: int) -> float | None:
        """Add up e to the `scores` [tokens], fp32, none above 0, in so many vectors in turn."""
        name = f"exact_weigh_{sums}"
        if not hasattr(self._library, name):
            return None
        function = self._function(name, 1, 1)
        function.restype = ctypes.c_float
        scores = scores.float().clone()
        return float(function(scores.data_ptr(), scores.numel()))

    def checked(self, made: Product | None, other: Product, weight: Any, dtype: Any) -> Product:
        """Return the native product where it gives what the other gives, else the other.

        An exact one gives the same bits; one wrong bit spoils all exact ones, for in most
        results another order of sums does not show. Otherwise both keep sums in fp32: each
        result may be rounded the other way, and where terms cancel the sums differ by a little
        of the largest result. `weight` [out, in] is a part of the product's, for inputs that
        tell orders apart.
        """
        if made is None or (self.exact and self.wrong):
            self.missing += 1
            return other
        agree = torch.equal if self.exact else _near
        for x in _inputs(weight, dtype, self.exact):
            if not agree(made(x), other(x)):
                self.wrong += 1
                return other
        self.used += 1
        return made

    def _sums_squares(self, size: int) -> bool:
        """Whether the norm is torch's in fp32, where a single last bit shows."""
        if size not in self._norms:
            ours = self._norm(torch.ones(size), _EPSILON)
            rows = torch.randn(_INPUTS, 1, size, generator=torch.Generator().manual_seed(0))
            self._norms[size] = all(
                torch.equal(ours(row), torch.rms_norm(row, (size,), None, _EPSILON)) for row in rows
            )
        return self._norms[size]

    def _norm(self, weight: Any, epsilon: float) -> Product:
        dtype, size = weight.dtype, weight.numel()
        function = self._function(f"normalize_{_FLOATS[dtype]}", 3, 1, ctypes.c_float)
        empty = torch.empty

        def run(x: Any) -> Any:
            x = x.to(dtype).contiguous()
            y = empty((1, size), dtype=dtype)
            function(x.data_ptr(), weight.data_ptr(), y.data_ptr(), size, epsilon)
            return y

        return run

    def _product(
        self, name: str, weight: Any, second: Any, dtype: Any, shape: Any, *more: int
    ) -> Product | None:
        rows, columns = shape
        both = [tensor for tensor in (weight, second) if tensor is not None]
        if columns % _BLOCK or not all(t.is_contiguous() for t in both):
            return None
        if any(tensor.device.type != "cpu" for tensor in both):
            return None
        if self.exact and rows % _EXACT_ROWS.get(name, 1):
            return None
        name = f"exact_{name}" if self.exact else f"multiply_{name}"
        if not hasattr(self._library, name):
            return None
        function = self._function(name, 4, 2 + len(more), _INT)
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

    def _keep(
        self, name: str, heads: int, kv_heads: int, size: int, dtype: Any, *more: Any
    ) -> Keep:
        function = self._function(name, 7, 5, *((ctypes.c_float, _INT) if more else ()))
        empty = torch.empty

        def run(
            turnable: Any, fresh: Any, cos: Any, sin: Any, keys: Any, values: Any, position: int
        ) -> Any:
            turnable, fresh = turnable.contiguous(), fresh.contiguous()
            out = empty((1, heads, 1, size), dtype=dtype)
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
                *more,
            )
            return out

        return run

    def _function(self, name: str, pointers: int, sizes: int, *more: Any) -> Any:
        function = getattr(self._library, name)
        function.argtypes = [*[_POINTER] * pointers, *[_LONG] * sizes, *more]
        function.restype = None
        return function


def _inputs(weight: Any, dtype: Any, telling: bool) -> Iterator[Any]:
    """Inputs [1, in] for a weight [out, in]: one at random, and `telling` ones.

    Those are random, less what a few rows see of them: there large terms nearly cancel, and
    their sum shows in which order they were added.
    """
    generator, columns = torch.Generator().manual_seed(0), weight.shape[1]
    yield torch.randn(1, columns, generator=generator).to(dtype)
    if telling:
        seen = torch.linalg.qr(weight[: min(_TELLING_ROWS, columns // 2)].float().T)[0]
        for _ in range(1, _INPUTS):
            x = torch.randn(1, columns, generator=generator)
            yield (x - x @ seen @ seen.T).to(dtype)


def _near(ours: Any, theirs: Any) -> bool:
    ours, theirs, step = ours.float(), theirs.float(), torch.finfo(theirs.dtype).eps
    allowed = theirs.abs() * step + theirs.abs().max() * 2**-16
    return bool(((ours - theirs).abs() <= allowed).all())  # so that NaN fails
