"""Reads the headers of safetensors files: what is stored, and whether the file is whole."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from playground.core.errors import ModelError

_MAX_HEADER = 100_000_000  # the format's own limit, in bytes
BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip


@dataclass(frozen=True)
class StoredTensor:
    """One tensor as it lies in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> list[StoredTensor]:
    """Return the file's tensors. Raises ModelError where it is truncated or no safetensors."""
    remedy = "Download it again, or copy it again from where it came."
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            if len(prefix) < 8:
                raise ModelError(f"{path.name} is empty or truncated.", remedy)
            (length,) = struct.unpack("<Q", prefix)
            if length > min(_MAX_HEADER, size - 8):
                raise ModelError(f"{path.name} is truncated or no safetensors file.", remedy)
            header = json.loads(file.read(length))
        tensors, end = [], 0
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            tensors.append(StoredTensor(name, str(entry["dtype"]), tuple(map(int, entry["shape"]))))
            end = max(end, int(entry["data_offsets"][1]))
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error.strerror}.", remedy) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(
            f"{path.name} has a damaged header and is no safetensors file.", remedy, str(error)
        ) from error
    if 8 + length + end != size:
        raise ModelError(
            f"{path.name} is truncated: {size:,} bytes are there and {8 + length + end:,} belong.",
            remedy,
        )
    return tensors
