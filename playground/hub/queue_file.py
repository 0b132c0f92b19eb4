"""Where the download queue is kept between two starts of the application."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from playground.core import paths
from playground.core.settings import write_atomically
from playground.hub.download_items import DownloadItem, DownloadState

log = logging.getLogger(__name__)


class _Stored(msgspec.Struct, frozen=True):
    version: int
    items: tuple[DownloadItem, ...]


_VERSION = 1


def queue_file() -> Path:
    return paths.data_dir() / "downloads.json"


def load(path: Path) -> list[DownloadItem]:
    """Read the queue; [] where there is none. What was under way waits for its turn again.

    A damaged file is kept beside as `.bad` and logged.
    """
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("The download queue %s cannot be read: %s", path, error)
        try:
            shutil.copyfile(path, path.with_name(path.name + ".bad"))
        except OSError as second:
            log.warning("It could not be kept: %s", second)
        return []
    return [_at_rest(item) for item in stored.items]


def save(path: Path, items: Sequence[DownloadItem]) -> None:
    """Write the queue at once or not at all; a failure is logged, downloads go on."""
    stored = _Stored(_VERSION, tuple(map(_at_rest, items)))
    try:
        write_atomically(path, msgspec.json.encode(stored))
    except OSError as error:
        log.warning("The download queue could not be saved to %s: %s", path, error)


def _at_rest(item: DownloadItem) -> DownloadItem:
    """An entry without what holds only while a process runs."""
    state = item.state if item.state.is_over else DownloadState.WAITING
    return msgspec.structs.replace(
        item, state=state, bytes_per_s=0.0, quiet_s=0.0, attempt=0, retry_at=0.0
    )
