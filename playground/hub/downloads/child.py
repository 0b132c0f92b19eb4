"""The process that downloads a model: `… -m playground.hub.downloads.child ID REVISION COMMIT`.

It writes each event to stdout as a JSON line, and exits when its stdin ends, because then the
application that started it is gone.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import BinaryIO

from huggingface_hub import HfApi, constants

from playground.core.errors import FileError, ModelError
from playground.core.format import size_text
from playground.core.model.checkpoint import read_checkpoint
from playground.core.system.files import write_atomically
from playground.core.system.paths import full_path
from playground.core.system.reader import read_object
from playground.hub.downloads.events import (
    Broken,
    Completed,
    DownloadEvent,
    Planned,
    encode_line,
)
from playground.hub.downloads.needed_files import needed_files
from playground.hub.downloads.progress import ProgressReporter
from playground.hub.downloads.transfer import HubFile, Transfer
from playground.hub.errors import HubError, HubProblem
from playground.hub.site import failures

_ANSWER_WITHIN_S = 20.0
_WORKERS = 4
_WEIGHTS = ".safetensors"
#: Bytes between two writes; with the library's 10 MiB a slow download would seem to stand still.
_CHUNK = 256 * 1024


class EventWriter:
    """Writes events to the parent process; may be called from several threads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, event: DownloadEvent) -> None:
        with self._lock:
            self._stream.write(encode_line(event))
            self._stream.flush()


def download(id_: str, revision: str, commit: str, emit: EventWriter) -> Completed:
    """Download the files that loading a model needs.

    A `commit` stands above the revision, which may name another one by now. Raises ModelError,
    and whatever the library raises.
    """
    if constants.is_offline_mode():
        raise failures.offline_mode()
    info = HfApi().model_info(
        id_,
        revision=commit or revision or None,
        timeout=_ANSWER_WITHIN_S,
        files_metadata=True,
    )
    if info.sha is None:
        raise ModelError(f"The Hub names no commit of {id_}.", "Try again.")
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    needed = needed_files(id_, siblings)
    # By commit, so that a push in between cannot mix two versions.
    transfer = Transfer(id_, info.sha, Path(constants.HF_HUB_CACHE))
    files = [transfer.describe(siblings[name]) for name in needed]
    progress = ProgressReporter(files, transfer.bytes_here, emit)
    emit(
        Planned(
            commit=info.sha,
            repository=str(transfer.repository),
            files=len(files),
            total_bytes=progress.total_bytes,
            present_bytes=progress.done_bytes,
        )
    )
    _check_space(progress.total_bytes - progress.done_bytes)
    with progress:
        # What is wrong with the small files is told before the weights are downloaded.
        weights = [file for file in files if file.name.endswith(_WEIGHTS)]
        _bring(transfer, [file for file in files if file not in weights], progress)
        _check_config(id_, transfer.folder)
        _bring(transfer, weights, progress)
        _check_model(id_, transfer, files, progress)
    if info.sha != revision:
        ref = transfer.repository / "refs" / (revision or constants.DEFAULT_REVISION)
        write_atomically(ref, info.sha.encode())
    return Completed(str(transfer.folder), info.sha)


def _bring(transfer: Transfer, files: Iterable[HubFile], progress: ProgressReporter) -> None:
    """Bring files in parallel; after a failure, those that have not begun are left."""
    with ThreadPoolExecutor(_WORKERS, "transfer") as pool:
        waiting = [pool.submit(transfer.bring, file, progress.checked) for file in files]
        try:
            for future in as_completed(waiting):
                future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _check_config(id_: str, folder: Path) -> None:
    """Refuse a model whose config.json cannot be read: no part of it could be loaded."""
    try:
        read_object(folder / "config.json")
    except FileError as error:
        raise _unusable(id_, error.message, error.detail) from error


def _check_model(
    id_: str, transfer: Transfer, files: Iterable[HubFile], progress: ProgressReporter
) -> None:
    """Refuse a model that cannot be loaded: because of the Hub's files, or of damaged ones here."""
    try:
        read_checkpoint(transfer.folder)
    except ModelError as error:
        bad = [file.name for file in files if transfer.remove_damaged(file, progress.checked)]
        if not bad:
            raise _unusable(id_, error.message, error.detail) from error
        raise HubError(
            f"{bad[0]} of {id_} was damaged on this machine.",
            "Try again to download it anew.",
            problem=HubProblem.INCOMPLETE,
        ) from error


def _unusable(id_: str, reason: str, detail: str = "") -> ModelError:
    return ModelError(
        f"{id_} cannot be loaded as it is on the Hub. {reason}",
        "Choose another repository or revision of the model; downloading it again does not help.",
        detail,
    )


def main(arguments: Sequence[str]) -> int:
    """Download the model that the arguments name; return 0 for success."""
    # Libraries print to stdout: that goes to stderr, and events have a descriptor of their own.
    emit = EventWriter(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    threading.Thread(target=_leave_with_parent, name="parent", daemon=True).start()
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
    id_, revision, commit = arguments
    try:
        emit(download(id_, revision, commit, emit))
    except Exception as error:
        emit(_broken(failures.explain(error, id_, commit or revision)))
        return 1
    return 0


def _broken(error: ModelError) -> Broken:
    if not isinstance(error, HubError):
        return Broken(error.message, error.remedy, error.detail)
    return Broken(
        error.message,
        error.remedy,
        error.detail,
        retryable=error.retryable,
        wait_s=error.wait_s,
        ask_at=error.ask_at,
        needs_login=error.needs_login,
        gone=error.problem is HubProblem.NO_REVISION,
    )


def _leave_with_parent() -> None:
    """Wait for the end of stdin and exit at once; unfinished files stay for the next start."""
    while os.read(0, 1024):
        pass
    os._exit(3)


def _check_space(needed: int) -> None:
    folder = full_path(constants.HF_HUB_CACHE)
    while not folder.is_dir():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ModelError(
            f"The download needs {size_text(needed)}, and {size_text(free)} are free on the "
            f"disk with {constants.HF_HUB_CACHE}.",
            "Free some space, or set HF_HOME to a folder on a larger disk.",
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
