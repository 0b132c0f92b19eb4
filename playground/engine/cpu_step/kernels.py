"""The native kernels of a decode step, as Python functions of torch tensors.

They are called through ctypes and read the weights in place. Their reduction order differs from
torch's. Measured on two cores with avx512_bf16 and 3072 x 1024 weights outside the caches: torch's
GEMV reads 14 GB/s, oneDNN's with packed weights 23 (bf16) to 38 (fp32), torch.compile's 34 to 41,
these 48 to 57, the rate of a plain sum. Without AVX-512, torch's is faster in bf16 and int8: time
both before choosing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import torch

_BLOCK = 32  # columns that a GEMV kernel reads at once
_LANES = 16  # values that attention reads at once
_INT4_ROWS = 64  # rows that torch packs together
_POINTER, _LONG, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_float
_Number = type[ctypes.c_int | ctypes.c_float]
_FLOATS = {torch.float32: "fp32", torch.bfloat16: "bf16"}

Tensor = torch.Tensor
#: A function of one token's row, [1, in] to [1, out]: a linear layer or a norm.
RowFunction = Callable[[Tensor], Tensor]
#: Rotary embedding, cache update and attention of one token. Takes queries and keys
#: [1, heads + kv_heads, 1, size], values [1, kv_heads, 1, size], cos and sin [size] (the sin of
#: a head's first half is negative, which is rotate_half's sign), the layer's cached keys and
#: values [1, kv_heads, slots, size] and the token's position. Writes the token's keys and values
#: into the cache, and returns [1, heads * size].
Attention = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, int], Tensor]


class NativeKernels:
    """Returns functions of one token's row; None where no kernel takes the tensors.

    A function keeps its weights alive, and uses the number of threads that torch has now.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library

    def linear(self, weight: Tensor, bias: Tensor | None) -> RowFunction | None:
        """Return a linear layer in fp32 or bf16: weight [out, in], bias [out] or None."""
        name = _FLOATS.get(weight.dtype)
        if name is None or (bias is not None and bias.dtype != weight.dtype):
            return None
        return self._multiply(name, weight, bias, weight.dtype, weight.shape)

    def int8_linear(self, weight: Tensor, scale: Tensor) -> RowFunction | None:
        """Return a linear layer with weight int8 [out, in], scale bf16 [out]; input bf16."""
        if weight.dtype != torch.int8 or scale.dtype != torch.bfloat16:
            return None
        return self._multiply("int8", weight, scale, torch.bfloat16, weight.shape)

    def int4_linear(
        self, packed: Tensor, scales_and_zeros: Tensor, group: int
    ) -> RowFunction | None:
        """Return a linear layer with a weight packed for torch's `_weight_int4pack_mm_for_cpu`.

        Scales and zeros bf16 [in / group, out, 2]; input bf16. Torch's packing depends on the
        processor: the kernel reads the AVX-512 format only.
        """
        groups, rows, _ = scales_and_zeros.shape
        if torch.backends.cpu.get_cpu_capability() != "AVX512" or rows % _INT4_ROWS or group % 2:
            return None
        shape = (rows, groups * group)
        if packed.numel() * packed.element_size() * 2 != shape[0] * shape[1]:
            return None
        return self._multiply("int4", packed, scales_and_zeros, torch.bfloat16, shape, group)

    def norm(self, weight: Tensor, epsilon: float) -> RowFunction | None:
        """Return RMSNorm as in transformers, of a row [1, size], weight [size]."""
        dtype, size = weight.dtype, weight.numel()
        if dtype not in _FLOATS or size % _BLOCK or not weight.is_contiguous():
            return None
        function = self._function(f"normalize_{_FLOATS[dtype]}", 3, 1, _FLOAT)
        empty = torch.empty

        def run(x: Tensor) -> Tensor:
            x = x.to(dtype).contiguous()
            y = empty((1, size), dtype=dtype)
            function(x.data_ptr(), weight.data_ptr(), y.data_ptr(), size, epsilon)
            return y

        return run

    def attention(
        self, heads: int, kv_heads: int, size: int, scale: float, dtype: torch.dtype
    ) -> Attention | None:
        """Return `Attention` over heads of `size` values, in fp32 or bf16."""
        if dtype not in _FLOATS or size % _LANES or heads % kv_heads:
            return None
        function = self._function(f"attend_{_FLOATS[dtype]}", 7, 5, _FLOAT, _INT)
        threads = torch.get_num_threads()
        empty = torch.empty

        def run(
            queries_keys: Tensor,
            new_values: Tensor,
            cos: Tensor,
            sin: Tensor,
            keys: Tensor,
            values: Tensor,
            position: int,
        ) -> Tensor:
            queries_keys, new_values = queries_keys.contiguous(), new_values.contiguous()
            out = empty((1, heads * size), dtype=dtype)
            function(
                queries_keys.data_ptr(),
                new_values.data_ptr(),
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

    def _multiply(
        self,
        name: str,
        weight: Tensor,
        second: Tensor | None,
        dtype: torch.dtype,
        shape: Sequence[int],
        *more: int,
    ) -> RowFunction | None:
        """Return a GEMV; `second` is the bias or the scales, `more` further sizes."""
        rows, columns = shape
        both = [tensor for tensor in (weight, second) if tensor is not None]
        if columns % _BLOCK or not all(t.is_contiguous() for t in both):
            return None
        if any(tensor.device.type != "cpu" for tensor in both):
            return None
        name = f"multiply_{name}"
        if not hasattr(self._library, name):
            return None
        function = self._function(name, 4, 2 + len(more), _INT)
        sizes = (rows, columns, *more, torch.get_num_threads())
        empty = torch.empty

        def run(x: Tensor) -> Tensor:
            x = x.to(dtype).contiguous()
            y = empty((1, rows), dtype=dtype)
            # The closure keeps the tensors, not only their addresses.
            function(
                weight.data_ptr(),
                None if second is None else second.data_ptr(),
                x.data_ptr(),
                y.data_ptr(),
                *sizes,
            )
            return y

        return run

    def _function(
        self, name: str, pointers: int, sizes: int, *more: _Number
    ) -> Callable[..., None]:
        """Return a C function without a result; its arguments: pointers, longs, then `more`."""
        function = self._library[name]
        function.argtypes = [*[_POINTER] * pointers, *[_LONG] * sizes, *more]
        function.restype = None
        return function
