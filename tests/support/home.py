"""A PLAYGROUND_HOME for a test."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from playground.core.system import paths


def make_home(folder: Path) -> Path:
    """Make a home whose engines need not compile, nor measure the memory's bandwidth, anew."""
    shared, cache = paths.cache_dir(), folder / "cache"
    (shared / "native").mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True)
    (cache / "native").symlink_to(shared / "native")
    with contextlib.suppress(FileNotFoundError):
        shutil.copy(shared / "bandwidth.json", cache)
    return folder
