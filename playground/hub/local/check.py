"""Checks a model's files on this machine, byte by byte, against what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from playground.core.errors import ModelError
from playground.core.format import size_text
from playground.hub.announced import is_hash, matches, remove_content
from playground.hub.catalog import ModelRow, Where
from playground.hub.local.fingerprint import bytes_to_hash, hash_whole


@dataclass(frozen=True)
class FilesCheck:
    """What a check found. Names are paths in the model's folder.

    `unknown` are files whose hash nobody has announced. `fingerprint` is that of a folder, which
    has no announced hashes at all.
    """

    row: ModelRow
    checked: int = 0
    checked_bytes: int = 0
    damaged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def sound(self) -> bool:
        return not (self.damaged or self.missing)

    @property
    def text(self) -> str:
        """The outcome in a sentence or two."""
        if self.fingerprint:
            return (
                f"Every byte was read. The files' fingerprint is {self.fingerprint}; no hashes are "
                "published for a folder, so compare it with that of another copy."
            )
        bad = [f"{name} is damaged" for name in self.damaged]
        bad += [f"{name} is missing" for name in self.missing]
        parts = [f"{', '.join(bad)}."] if bad else []
        if self.checked:
            files = "1 file" if self.checked == 1 else f"{self.checked:,} files"
            good = "are as the Hub announces them" if not bad else "were checked"
            parts.append(f"{files} ({size_text(self.checked_bytes)}) {good}.")
        if self.unknown:
            some = ", ".join(self.unknown[:3]) + (" …" if len(self.unknown) > 3 else "")
            parts.append(f"Not checked, since their hashes are not known here: {some}.")
        return " ".join(parts)


def bytes_to_check(row: ModelRow) -> int:
    """Return the bytes that `check_files` reads. Raises ModelError where there is no folder."""
    folder = _folder(row)
    if row.where is not Where.CACHE:
        return bytes_to_hash(folder)
    return sum(path.stat().st_size for path, oid in _files(folder) if oid and path.exists())


def check_files(row: ModelRow, on_bytes: Callable[[int], None] = lambda _: None) -> FilesCheck:
    """Read a local model's files and compare them with their hashes, which their links name.

    `on_bytes` is called with the number of bytes of each piece read; what it raises ends the
    check. Raises ModelError where a file cannot be read.
    """
    folder = _folder(row)
    if row.where is not Where.CACHE:
        return FilesCheck(row, fingerprint=hash_whole(folder, on_bytes, anew=True))
    checked = checked_bytes = 0
    damaged, missing, unknown = [], [], []
    for path, oid in _files(folder):
        name = path.relative_to(folder).as_posix()
        if not path.exists():
            missing.append(name)
            continue
        if not oid:
            unknown.append(name)
            continue
        try:
            good = matches(path, oid, on_bytes)
        except OSError as error:
            raise ModelError(
                f"{name} of {row.name} cannot be read: {error.strerror}.",
                "Check the disk; if it is faulty, delete the model and download it elsewhere.",
                str(error),
            ) from error
        checked += 1
        checked_bytes += path.stat().st_size
        if not good:
            damaged.append(name)
    return FilesCheck(row, checked, checked_bytes, tuple(damaged), tuple(missing), tuple(unknown))


def remove_damaged(check: FilesCheck) -> None:
    """Remove what a check found damaged or missing, so that a download fetches it again."""
    folder = _folder(check.row)
    for name in check.damaged:
        remove_content(folder / name)
    for name in check.missing:
        (folder / name).unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield a snapshot's files, each with the hash that its link names, "" for none."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            oid = path.readlink().name
            yield path, oid if is_hash(oid) else ""
        elif path.is_file():
            yield path, ""


def _folder(row: ModelRow) -> Path:
    if row.folder is None or not row.folder.is_dir():
        raise ModelError(f"{row.name} is not on this machine.", "Refresh the list.")
    return row.folder
