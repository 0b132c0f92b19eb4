"""Remembers the hashes of large files between two starts, by path, size and time of change."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from playground.core.system import own_files, paths
from playground.core.system.files import write_atomically
from playground.core.system.locks import exclusive

log = logging.getLogger(__name__)

#: Most files to remember; beyond, the hashes that were made first are forgotten.
_MOST = 2000


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    path: str
    size: int  # bytes
    mtime_ns: int
    sha256: str


_decoder = msgspec.json.Decoder(tuple[_Entry, ...])


def hashes_file() -> Path:
    return paths.cache_dir() / "file-hashes.json"


def load() -> dict[tuple[str, int, int], str]:
    """Return the SHA-256 by path, size in bytes and time of change in ns."""
    return {(e.path, e.size, e.mtime_ns): e.sha256 for e in _entries()}


def remember(path: str, size: int, mtime_ns: int, sha256: str) -> None:
    """Store a file's hash in place of earlier ones; where that fails, it is made again."""
    target = hashes_file()
    with exclusive(target.with_suffix(".lock")):
        kept = [entry for entry in _entries() if entry.path != path]
        entries = [*kept, _Entry(path, size, mtime_ns, sha256)][-_MOST:]
        try:
            write_atomically(target, msgspec.json.encode(entries))
        except (OSError, UnicodeEncodeError) as error:  # a full disk, or a path that is no text
            log.warning("%s could not be written: %s", target, error)


def _entries() -> tuple[_Entry, ...]:
    # It can be made again, so a damaged one is not worth a notice.
    return own_files.peek(hashes_file(), _decoder.decode) or ()
