"""Stores the download queue between two starts, in one file for each open window."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from playground.core.system import own_files, paths
from playground.core.system.files import write_atomically
from playground.hub.downloads.items import DownloadItem, DownloadState

log = logging.getLogger(__name__)

#: Windows that can be open at once with a file each; a further one stores nothing.
_MOST_OWNERS = 9
_VERSION = 1


class _Stored(msgspec.Struct, frozen=True):
    version: int
    items: tuple[DownloadItem, ...]


_decoder = msgspec.json.Decoder(_Stored)


class QueueFile:
    """The file of one application's queue, locked for as long as the application runs.

    The first application has `path`, a second one `downloads-2.json` beside it, and so on. One
    that starts takes over the entries in the files of applications that have ended.
    """

    def __init__(self, path: Path) -> None:
        self._path: Path | None = None
        self._lock: int | None = None
        self._slots = [path]
        self._slots += [path.with_stem(f"{path.stem}-{n}") for n in range(2, _MOST_OWNERS + 1)]
        for slot in self._slots:
            lock = _locked(slot)
            if lock is not None:
                self._path, self._lock = slot, lock
                return
        log.warning("%d windows keep downloads already; this one's are not kept.", _MOST_OWNERS)

    def load(self) -> list[DownloadItem]:
        """Read this file's queue, followed by what ended applications have left."""
        if self._path is None:
            return []
        found = {item.key: item for item in load(self._path)}
        left = [slot for slot in self._slots if slot != self._path and slot.exists()]
        for slot in left:
            lock = _locked(slot)
            if lock is None:
                continue  # its owner runs
            for item in load(slot):
                known = found.get(item.key)
                if known is None or known.state.is_over:
                    found[item.key] = item
            save(self._path, tuple(found.values()))
            slot.unlink(missing_ok=True)
            os.close(lock)
        return list(found.values())

    def save(self, items: Sequence[DownloadItem]) -> None:
        if self._path is not None and self._lock is not None:
            save(self._path, items)

    def release(self) -> None:
        """Leave the file to the next application that starts."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def queue_file() -> Path:
    return paths.data_dir() / "downloads.json"


def load(path: Path) -> list[DownloadItem]:
    """Read the queue, [] where there is none. Entries that were running are WAITING again.

    A damaged file is set aside.
    """
    stored = own_files.load(path, _decoder.decode, "the download queue")
    if stored is None:
        return []
    return [_at_rest(item) for item in stored.items]


def save(path: Path, items: Sequence[DownloadItem]) -> None:
    """Write the queue atomically; a failure is only logged, and downloads go on."""
    stored = _Stored(_VERSION, tuple(map(_at_rest, items)))
    try:
        write_atomically(path, msgspec.json.encode(stored))
    except OSError as error:
        log.warning("The download queue could not be saved to %s: %s", path, error)


def _locked(path: Path) -> int | None:
    """Lock a file's `.lock` and return its handle, None where another process holds it.

    The system releases the lock when this process ends.
    """
    mark = path.with_name(path.name + ".lock")
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(mark, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        log.warning("%s cannot be created: %s", mark, error)
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(handle)
        return None
    except OSError as error:  # a file system without locks: go on without one
        log.warning("%s cannot be locked: %s", mark, error)
    return handle


def _at_rest(item: DownloadItem) -> DownloadItem:
    """Return the entry without the values that hold only while a process runs."""
    state = item.state if item.state.is_over else DownloadState.WAITING
    return msgspec.structs.replace(
        item, state=state, bytes_per_s=0.0, quiet_s=0.0, attempt=0, retry_at=0.0
    )
