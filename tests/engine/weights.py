"""Safetensors files taken apart, so that tests can damage them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any


def read_weights(weights: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header and the bytes of all tensors."""
    data = weights.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return header, data[8 + length :]


def write_weights(weights: Path, header: dict[str, Any], data: bytes) -> None:
    head = json.dumps(header).encode()
    weights.write_bytes(struct.pack("<Q", len(head)) + head + data)
