"""Reads headers of safetensors files: which tensors they hold, and whether they are complete."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.core.errors import FileError
from playground.core.system.reader import file_size, parse_object, read_bytes

#: Bytes of a header. The format allows 100 MB; the longest honest ones have a quarter of this.
MAX_HEADER = 64 << 20
_MAX_NAME = 1000  # characters
_MAX_DIMENSIONS = 16
_MAX_NUMBER = 2**53
_REMEDY = "Download it again, or copy it again from its source."
BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip


@dataclass(frozen=True)
class StoredTensor:
    """One tensor as stored in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> list[StoredTensor]:
    """Return the file's tensors. Raises FileError where it is truncated or not safetensors.

    The format: https://huggingface.co/docs/safetensors (8 bytes of length, a JSON header, data).
    """
    size = file_size(path)
    length = header_length(read_bytes(path, 8, cut=True), path.name)
    if 8 + length > size:
        raise FileError(path.name, "is truncated or not a safetensors file", remedy=_REMEDY)
    tensors, end = parse_header(read_bytes(path, 8 + length, cut=True)[8:], path.name)
    if 8 + length + end != size:
        whole = 8 + length + end
        problem = f"is truncated: it has {size:,} of {whole:,} bytes"
        raise FileError(path.name, problem, remedy=_REMEDY)
    return tensors


def header_length(beginning: bytes, name: str) -> int:
    """Return the bytes of the header by the first 8 bytes of the file `name`. Raises FileError."""
    if len(beginning) < 8:
        raise FileError(name, "is empty or truncated", remedy=_REMEDY)
    (length,) = struct.unpack("<Q", beginning[:8])
    if length > MAX_HEADER:
        raise FileError(name, "is truncated or not a safetensors file", remedy=_REMEDY)
    return int(length)


def parse_header(header: bytes, name: str) -> tuple[list[StoredTensor], int]:
    """Return the tensors by the header of the file `name`, and the bytes of its data.

    Raises FileError.
    """
    try:
        entries = parse_object(header, name)
        entries.pop("__metadata__", None)
        stored = sorted((_entry(key, value) for key, value in entries.items()), key=lambda e: e[1:])
        end = 0
        for tensor, first, last in stored:
            if first != end or not _fits(tensor, last - first):
                raise ValueError(f"the place of {tensor.name} does not fit")
            end = last
    except (FileError, ValueError, KeyError, TypeError) as error:
        problem = "has a damaged header and is not a safetensors file"
        raise FileError(name, problem, repr(error), _REMEDY) from error
    places = {tensor.name: tensor for tensor, _, _ in stored}
    return [places[key] for key in entries], end


def _entry(name: str, entry: Mapping[str, Any]) -> tuple[StoredTensor, int, int]:
    """Return a tensor with the beginning and end of its data. Raises ValueError and others."""
    dtype, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
    numbers = [*shape, first, last]
    if len(name) > _MAX_NAME or not isinstance(dtype, str) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError(f"{name[:100]} is no tensor")
    if any(type(n) is not int or not 0 <= n < _MAX_NUMBER for n in numbers) or last < first:
        raise ValueError(f"{name} has the numbers {numbers}")
    return StoredTensor(name, dtype, tuple(shape)), first, last


def _fits(tensor: StoredTensor, size: int) -> bool:
    """Whether a tensor takes so many bytes; of a dtype that is not known, whether it may."""
    bits = BITS.get(tensor.dtype)
    return tensor.elements <= 8 * size if bits is None else tensor.elements * bits == 8 * size
