"""Compares files of the Hub's cache with the hashes that the Hub announces for them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_PIECE = 1024 * 1024


def is_hash(oid: str) -> bool:
    """Return whether this is a SHA-256 (large files) or Git's id of a blob (small files).

    The Hub announces it for each file, and its cache names the file's content by it.
    """
    return _HASH.fullmatch(oid) is not None


def matches(path: Path, oid: str, on_bytes: Callable[[int], None] = lambda _: None) -> bool:
    """Return whether a file's content has the hash `oid`. Raises OSError, and what `on_bytes` does.

    `on_bytes` is called with the number of bytes of each piece read.
    """
    if len(oid) == 64:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            on_bytes(len(piece))
    return digest.hexdigest() == oid


def remove_content(path: Path) -> None:
    """Remove a file of a snapshot together with the content that it links to."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)
