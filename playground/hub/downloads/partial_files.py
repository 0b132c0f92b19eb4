"""Names, measures and removes the unfinished files of a model in the Hub's cache.

An unfinished file is `blobs/HASH.incomplete`. Whoever writes one holds the lock that the Hub's
library has for that hash.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # made lazily

from playground.core.system.temporary import children, sweep

SUFFIX = ".incomplete"
#: The library itself adds a random part, and leaves such a file when it is killed.
_NAME = re.compile(r"(?P<oid>[0-9a-f]{64}|[0-9a-f]{40})(?P<random>\.[0-9a-f]{8})?\.incomplete")


def repository_folder(cache: Path, id_: str) -> Path:
    """Return the folder of a model in the Hub's cache."""
    return cache / f"models--{id_.replace('/', '--')}"


def partial_file(repository: Path, oid: str) -> Path:
    """Return where the unfinished content with this hash lies."""
    return repository / "blobs" / (oid + SUFFIX)


def lock_file(repository: Path, oid: str) -> Path:
    """Return the library's lock of a content; its folder is made."""
    lock = repository.parent / ".locks" / repository.name / f"{oid}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    return lock


def bytes_written(repository: Path, oid: str) -> int:
    """Return the bytes of a content that are here, unfinished."""
    return max(map(_size, (repository / "blobs").glob(f"{oid}*{SUFFIX}")), default=0)


def remove_orphans(repository: Path, oid: str) -> None:
    """Remove what killed processes have left of a content; the caller holds its lock."""
    for path in (repository / "blobs").glob(f"{oid}.*{SUFFIX}"):
        found = _NAME.fullmatch(path.name)
        if found is not None and found["random"]:
            path.unlink(missing_ok=True)


def sweep_orphans(cache: Path) -> None:
    """Remove what killed processes have left in the cache and what no download goes on with."""
    for repository in children(cache):
        if not repository.name.startswith("models--"):
            continue
        sweep(repository / "refs")
        for path in children(repository / "blobs"):
            found = _NAME.fullmatch(path.name)
            if found is not None and found["random"]:
                _remove_unlocked(repository, path, found["oid"])


def discard(repository: Path) -> None:
    """Remove a model's unfinished files, except those that a process is writing."""
    for path in list((repository / "blobs").glob(f"*{SUFFIX}")):
        if (found := _NAME.fullmatch(path.name)) is not None:
            _remove_unlocked(repository, path, found["oid"])


def _remove_unlocked(repository: Path, path: Path, oid: str) -> None:
    """Remove an unfinished file unless a process is writing its content."""
    with (
        contextlib.suppress(OSError),  # a time-out among them
        WeakFileLock(lock_file(repository, oid), timeout=0.05),
    ):
        path.unlink()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
