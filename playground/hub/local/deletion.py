"""Deletes models from this machine, after computing what that would free."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from playground.core.errors import FileError, ModelError, PlaygroundError
from playground.core.system.reader import read_bytes
from playground.hub.catalog import Deletion, ModelRow, Where
from playground.hub.local.cache import cache_folder

#: Files of a model; anything else in a user's folder is never deleted.
_MODEL_FILES = (
    ".safetensors", ".json", ".jsonl", ".model", ".txt", ".jinja", ".py", ".md", ".tiktoken",
    ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx",
)  # fmt: skip
_MODEL_NAMES = frozenset({"LICENSE", "LICENSE.txt", "NOTICE", ".gitattributes"})


def plan_deletion(row: ModelRow, cache: Path | None = None) -> Deletion:
    """Return what deleting a model would free. Raises ModelError where it cannot be deleted."""
    if row.folder is None or not row.is_deletable:
        raise ModelError(
            f"{row.name} cannot be deleted here.",
            "Only models in the Hub's cache and in your own model folders can be.",
        )
    if row.where is Where.FOLDER:
        return _plan_folder(row, row.folder)
    return _plan_cached(row, row.folder, cache or cache_folder())


def delete(deletion: Deletion, cache: Path | None = None) -> int:
    """Delete, and return the bytes freed.

    The plan is made anew, because files may have come since. Raises PlaygroundError where
    something could not be deleted.
    """
    row, folder = deletion.row, deletion.row.folder
    if row.where is not Where.CACHE or folder is None:
        plan = plan_deletion(row, cache)
        _remove(plan.files)
        with contextlib.suppress(OSError):  # the folder stays if other files do
            plan.folders[0].rmdir()
        left = [path for path in plan.files if path.exists()]
    else:
        plan = _plan_cached(row, folder, cache or cache_folder())
        for path in plan.folders:
            shutil.rmtree(path, ignore_errors=True)
        _remove(plan.files)
        left = [path for path in plan.folders if path.exists()]
    if left:
        raise PlaygroundError(
            f"{row.name} could not be deleted entirely: {left[0]} is still there.",
            "Check that you may write there, and that no other program uses it.",
        )
    return plan.freed


def _plan_folder(row: ModelRow, folder: Path) -> Deletion:
    if folder.is_symlink() or not folder.is_dir():
        raise ModelError(
            f"{folder} is {'a link' if folder.is_symlink() else 'no folder'}, and is not deleted.",
            "Delete what it points at yourself, if you mean to.",
        )
    files, others = [], 0
    for path in sorted(folder.iterdir()):
        ours = path.suffix in _MODEL_FILES or path.name in _MODEL_NAMES
        if ours and (path.is_symlink() or not path.is_dir()):  # a pipe, too
            files.append(path)
        else:
            others += 1
    keeps = ""
    if others:
        keeps = f"Not deleted: {_count(others, 'other thing', 'other things')} in the folder."
    return Deletion(
        row=row, folders=(folder,), files=tuple(files), freed=_sizes(files), keeps=keeps
    )


def _plan_cached(row: ModelRow, snapshot: Path, cache: Path) -> Deletion:
    """Return the plan for a snapshot in the cache, and for what no other one needs.

    The library's own scan opens whatever lies in the cache, and refuses damaged repositories.
    """
    cache, repository = cache.resolve(), snapshot.resolve().parent.parent
    if repository.parent != cache or not repository.name.startswith("models--"):
        raise ModelError(f"{snapshot} is not in the Hub's cache.", "Refresh the list.")
    if not snapshot.is_dir():
        raise ModelError(f"{row.name} is not on this machine any more.", "Refresh the list.")
    others = [p for p in (repository / "snapshots").iterdir() if p.name != snapshot.name]
    if not others:
        places = (repository / "blobs", repository / "snapshots")
        found = (path for folder in places for path in folder.rglob("*"))
        files = [path for path in found if path.is_file() and not path.is_symlink()]
        return Deletion(row=row, folders=(repository,), files=(), freed=_sizes(files))
    blobs = _targets(snapshot) - set().union(*map(_targets, others))
    inside = repository / "blobs"
    files = sorted(p for p in blobs if p.is_relative_to(inside.resolve()))
    refs = [p for p in (repository / "refs").rglob("*") if _names(p, row.commit)]
    copies = [p for p in snapshot.rglob("*") if p.is_file() and not p.is_symlink()]
    return Deletion(
        row=row,
        folders=(snapshot,),
        files=(*files, *refs),
        freed=_sizes([*files, *copies]),
        keeps=f"Not deleted: {_count(len(others), 'other revision', 'other revisions')} of it.",
    )


def _targets(snapshot: Path) -> set[Path]:
    return {p.resolve() for p in snapshot.rglob("*") if p.is_symlink() and p.exists()}


def _names(ref: Path, commit: str) -> bool:
    try:
        return read_bytes(ref, 200).decode("utf-8").strip() == commit
    except (FileError, UnicodeDecodeError):
        return False


def _sizes(files: Iterable[Path]) -> int:
    """Return the bytes that removing these files frees."""
    total = 0
    for path in files:
        with contextlib.suppress(OSError):
            stat = path.lstat()
            total += stat.st_size if stat.st_nlink == 1 else 0
    return total


def _remove(files: Sequence[Path]) -> None:
    for path in files:
        with contextlib.suppress(OSError):
            path.unlink()


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
