"""Lists the models in this machine's Hugging Face cache by walking its folders.

The library's own scan drops a whole repository at the first broken link. Here a damaged snapshot
is listed with its problem, beside the others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants

from playground.core.errors import FileError, ModelError
from playground.core.model.folder import file_named
from playground.core.system.paths import full_path
from playground.core.system.reader import TABLE_BYTES, is_folder, read_bytes, read_object
from playground.hub.source import check_hub_id

log = logging.getLogger(__name__)

_PREFIX = "models--"
INDEX = "model.safetensors.index.json"
_REF_BYTES = 200  # a ref holds a commit


@dataclass(frozen=True)
class CachedModel:
    """One snapshot in the cache. `size` in bytes; `problem` is "" where it is complete."""

    id: str
    commit: str
    refs: tuple[str, ...]  # branches and tags that point at it
    folder: Path
    size: int
    changed: float  # seconds since the epoch, of the latest file
    problem: str = ""

    @property
    def complete(self) -> bool:
        return not self.problem


def cache_folder() -> Path:
    """Return the Hub's cache as HF_HUB_CACHE, HF_HOME or XDG_CACHE_HOME set it at import.

    Raises ModelError where it would lie in a home directory that is not known.
    """
    try:
        return full_path(constants.HF_HUB_CACHE)
    except FileError as error:
        raise ModelError(
            f"The Hub's cache {constants.HF_HUB_CACHE} is in no home directory that is known here.",
            "Write the whole path in HF_HOME or HF_HUB_CACHE.",
        ) from error


def cached_models(cache: Path | None = None) -> list[CachedModel]:
    """List every model snapshot, the latest changed first; [] where there is no cache."""
    found: list[CachedModel] = []
    for repository in _folders(cache or cache_folder()):
        if repository.name.startswith(_PREFIX):
            found += repository_snapshots(repository)
    return sorted(found, key=lambda model: (-model.changed, model.id, model.commit))


def find_cached(id_: str, revision: str = "", cache: Path | None = None) -> CachedModel | None:
    """Return the snapshot of a revision, complete or not; None where there is none.

    "" means `main`, or the latest complete snapshot where `main` is not here, so that models
    downloaded by tag or commit are found offline.
    """
    repository = (cache or cache_folder()) / (_PREFIX + id_.replace("/", "--"))
    snapshots = repository_snapshots(repository)
    ref = revision or "main"
    for model in snapshots:
        if ref == model.commit or ref in model.refs:
            return model
    if revision:
        return None
    complete = [model for model in snapshots if model.complete]
    return max(complete or snapshots, key=lambda model: model.changed, default=None)


def repository_snapshots(repository: Path) -> list[CachedModel]:
    """List the snapshots in one `models--owner--name` folder."""
    id_ = repository.name.removeprefix(_PREFIX).replace("--", "/")
    try:
        check_hub_id(id_)
    except ModelError:
        return []
    refs = _refs(repository / "refs")
    return [
        _snapshot(id_, folder, tuple(sorted(refs.get(folder.name, ()))))
        for folder in _folders(repository / "snapshots")
    ]


def snapshot_problem(folder: Path) -> str:
    """Return a sentence on what a snapshot lacks to be loaded, "" for nothing.

    Only names are checked; `read_checkpoint` reads the contents.
    """
    try:
        return _problem(folder)
    except Exception as error:  # one damaged snapshot must not hide the others
        log.warning("%s: %r", folder, error)
        return str(error) if isinstance(error, ModelError) else "Its files cannot be read."


def _problem(folder: Path) -> str:
    broken = sorted(p.name for p in _walk(folder) if not _exists(p))
    if broken:
        return f"Files are missing from the cache: {_some(broken)}."
    if not (folder / "config.json").exists():
        return "It has no config.json."
    shards = _shards(folder)
    missing = [path.name for path in shards if not path.is_file()]
    if missing:
        return f"The download is incomplete: {_some(missing)} missing."
    if not shards and not any(folder.glob("*.safetensors")):
        if any(any(folder.glob(pattern)) for pattern in ("*.bin", "*.pt", "*.pth")):
            return "It has pickled weights only."
        return "Its weights are missing: the download was not finished."
    return ""


def _snapshot(id_: str, folder: Path, refs: tuple[str, ...]) -> CachedModel:
    size, changed = 0, 0.0
    for path in _walk(folder):
        try:
            stat = path.stat()
        except OSError:
            continue
        size += stat.st_size
        changed = max(changed, stat.st_mtime)
    return CachedModel(
        id=id_,
        commit=folder.name,
        refs=refs,
        folder=folder,
        size=size,
        changed=changed,
        problem=snapshot_problem(folder),
    )


def _shards(folder: Path) -> list[Path]:
    """Return the weight files that the index names. Raises FileError."""
    index = folder / INDEX
    if not index.exists() or (folder / "model.safetensors").is_file():
        return []  # a whole file is read instead of what the index names
    weight_map = read_object(index, TABLE_BYTES).get("weight_map")
    if not isinstance(weight_map, dict):
        raise FileError(INDEX, "is damaged: it names no files")
    named = {str(name): name for name in weight_map.values()}
    return [file_named(folder, named[key], INDEX) for key in sorted(named)]


def _refs(folder: Path) -> dict[str, set[str]]:
    """Return the branches and tags of each commit."""
    refs: dict[str, set[str]] = {}
    for path in _walk(folder):
        try:
            commit = read_bytes(path, _REF_BYTES).decode("utf-8").strip()
        except (FileError, UnicodeDecodeError):
            continue
        refs.setdefault(commit, set()).add(path.relative_to(folder).as_posix())
    return refs


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if is_folder(p) and not p.name.startswith("."))
    except OSError:
        return []


def _walk(folder: Path) -> Iterator[Path]:
    """Yield every file and link below a folder, broken links too; skip unreadable folders."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if is_folder(entry) and not entry.is_symlink():
            yield from _walk(entry)
        else:
            yield entry


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # links in a circle
        return False


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
