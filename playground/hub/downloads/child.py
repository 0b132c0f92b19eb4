"""The process that downloads a model: `… -m playground.hub.downloads.child ID REVISION COMMIT`.

It writes each event to stdout as a JSON line, and exits when its stdin ends, because then the
application that started it is gone.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.file_download import DryRunFileInfo

from playground.core.errors import ModelError
from playground.core.format import size_text
from playground.core.model.checkpoint import read_checkpoint
from playground.core.system.files import write_atomically
from playground.core.system.paths import full_path
from playground.hub.downloads.events import (
    Advanced,
    Broken,
    ChildMessage,
    Completed,
    Opening,
    Planned,
    encode_line,
)
from playground.hub.downloads.needed_files import needed_files
from playground.hub.downloads.partial_files import PartialFiles
from playground.hub.errors import HubError, HubProblem
from playground.hub.site import failures

REPORT_EVERY_S = 0.2
_RATE_WINDOW_S = 5.0
_ANSWER_WITHIN_S = 20.0
_WORKERS = 4
#: Bytes between two writes; with the library's 10 MiB a slow download would seem to stand still.
_CHUNK = 256 * 1024


class EventWriter:
    """Writes events to the parent process; may be called from several threads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, event: ChildMessage) -> None:
        with self._lock:
            self._stream.write(encode_line(event))
            self._stream.flush()


class ProgressReporter:
    """Reports the progress of a download at a steady pace, from the sizes of its files.

    Sizes on disk are right for every way of transfer (plain HTTP, Xet) and library version.
    """

    def __init__(
        self, plan: Sequence[DryRunFileInfo], partial: PartialFiles, emit: EventWriter
    ) -> None:
        self._emit = emit
        self._partial = partial
        self._pending = {Path(f.local_path): f.file_size or 0 for f in plan if f.will_download}
        self._total = sum(f.file_size or 0 for f in plan)
        self._done = self._total - sum(self._pending.values())
        self._moved_at = time.monotonic()
        self._samples: deque[tuple[float, int]] = deque([(self._moved_at, self._done)])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> ProgressReporter:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(REPORT_EVERY_S):
            self._report()
        self._report()

    def _report(self) -> None:
        partial = self._partial.bytes_written()
        left = sum(size for path, size in self._pending.items() if not path.exists())
        done = self._total - left + partial
        now = time.monotonic()
        if done > self._done:
            self._done, self._moved_at = min(done, self._total), now
        self._samples.append((now, self._done))
        while now - self._samples[0][0] > _RATE_WINDOW_S and len(self._samples) > 2:
            self._samples.popleft()
        then, before = self._samples[0]
        self._emit(
            Advanced(
                done_bytes=self._done,
                total_bytes=self._total,
                bytes_per_s=(self._done - before) / (now - then) if now > then else 0.0,
                quiet_s=now - self._moved_at,
            )
        )


def download(
    id_: str, revision: str, commit: str, partial: PartialFiles, emit: EventWriter
) -> Completed:
    """Download the files that loading a model needs.

    A `commit` stands above the revision, which may name another one by now. Raises ModelError,
    and whatever the library raises.
    """
    if constants.is_offline_mode():
        raise failures.offline_mode()
    api = HfApi()
    info = api.model_info(id_, revision=commit or revision or None, timeout=_ANSWER_WITHIN_S)
    if info.sha is None:
        raise ModelError(f"The Hub names no commit of {id_}.", "Try again.")
    names = [sibling.rfilename for sibling in info.siblings or ()]
    patterns = [_literally(name) for name in needed_files(id_, names)]
    # By commit, so that a push in between cannot mix two versions.
    plan = snapshot_download(id_, revision=info.sha, allow_patterns=patterns, dry_run=True)
    total = sum(f.file_size or 0 for f in plan)
    missing = sum(f.file_size or 0 for f in plan if f.will_download)
    emit(
        Planned(
            commit=info.sha,
            files=len(plan),
            total_bytes=total,
            present_bytes=total - missing,
        )
    )
    _check_space(missing)
    with ProgressReporter(plan, partial, emit):
        folder = Path(
            snapshot_download(id_, revision=info.sha, allow_patterns=patterns, max_workers=_WORKERS)
        )
    read_checkpoint(folder)
    if info.sha != revision:
        ref = folder.parent.parent / "refs" / (revision or constants.DEFAULT_REVISION)
        write_atomically(ref, info.sha.encode())
    return Completed(str(folder), info.sha)


def main(arguments: Sequence[str]) -> int:
    """Download the model that the arguments name; return 0 for success."""
    # Libraries print to stdout: that goes to stderr, and events have a descriptor of their own.
    emit = EventWriter(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    partial = PartialFiles(lambda path: emit(Opening(path)))
    partial.watch()
    threading.Thread(target=_leave_with_parent, args=(partial,), name="parent", daemon=True).start()
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
    id_, revision, commit = arguments
    try:
        emit(download(id_, revision, commit, partial, emit))
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


def _leave_with_parent(partial: PartialFiles) -> None:
    """Wait for the end of stdin, remove unfinished files, and exit at once."""
    while os.read(0, 1024):
        pass
    partial.remove_all()
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


def _literally(name: str) -> str:
    """Return a pattern that matches this file name only."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
