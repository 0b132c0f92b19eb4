"""Reads headers of safetensors files: which tensors they hold, and whether they are complete."""

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
    """One tensor as stored in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> list[StoredTensor]:
    """Return the file's tensors. Raises ModelError where it is truncated or not safetensors.

    The format: https://huggingface.co/docs/safetensors (8 bytes of length, a JSON header, data).
    """
    remedy = "Download it again, or copy it again from its source."
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            if len(prefix) < 8:
                raise ModelError(f"{path.name} is empty or truncated.", remedy)
            (length,) = struct.unpack("<Q", prefix)
            if length > min(_MAX_HEADER, size - 8):
                raise ModelError(f"{path.name} is truncated or not a safetensors file.", remedy)
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
            f"{path.name} has a damaged header and is not a safetensors file.", remedy, str(error)
        ) from error
    if 8 + length + end != size:
        raise ModelError(
            f"{path.name} is truncated: it has {size:,} of {8 + length + end:,} bytes.",
            remedy,
        )
    return tensors
