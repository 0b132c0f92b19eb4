"""A model in the Hub's cache, laid down as the Hub's library does."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.tiny_model import write_files


def put_snapshot(
    cache: Path, id_: str, commit: str, files: dict[str, bytes], ref: str = ""
) -> Path:
    """Lay a snapshot down: blobs, and links to them. Returns its folder."""
    repository = cache / f"models--{id_.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir(exist_ok=True)
    for name, data in files.items():
        blob = repository / "blobs" / f"{commit[:4]}-{name}"
        blob.write_bytes(data)
        (snapshot / name).symlink_to(os.path.relpath(blob, snapshot))
    if ref:
        write_files(repository / "refs", {ref: commit.encode()})
    return snapshot
