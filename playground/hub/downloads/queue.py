"""The download queue: one child process at a time, with retries, kept over restarts."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from playground.core.errors import ModelError
from playground.core.facts import ModelSpec
from playground.core.format import human_duration
from playground.core.lane import LaneChoice
from playground.hub.downloads import partial_files, queue_file
from playground.hub.downloads.download import Download
from playground.hub.downloads.events import Advanced, Broken, Completed, DownloadEvent, Planned
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.source import check_hub_id, check_revision

log = logging.getLogger(__name__)

#: Entries that are over and still shown; beyond, the oldest are dropped.
KEPT_OVER = 50
#: A download in which the last byte is younger than this is not idle.
_MOVING_S = 1.0


@dataclass(frozen=True)
class RetryPolicy:
    """When a download is tried again. Times in seconds.

    The wait doubles with each failed attempt in a row, and is at least what the Hub asks for. An
    attempt that completes a file starts the count anew. `stall_s` seconds without a byte end an
    attempt: longer than the library's own time-outs, after which it resumes a file by itself.
    """

    attempts: int = 6
    first_wait_s: float = 2.0
    longest_wait_s: float = 300.0
    stall_s: float = 90.0

    def wait_s(self, failed: int, asked: float) -> float:
        """Return the wait after `failed` attempts in a row, at least the one `asked` by the Hub."""
        doubled = self.first_wait_s * 2.0 ** min(failed - 1, 16)
        return max(min(doubled, self.longest_wait_s), asked)


@dataclass(frozen=True)
class _Running:
    """The download under way, and the key of its entry."""

    key: str
    download: Download


class DownloadQueue:
    """Downloads models one after the other, in its own threads; methods return at once.

    `listener` is called with the entry at every change, on any thread and while the queue is
    locked: it may only pass the entry on (emit a signal, put it in a queue).
    """

    def __init__(
        self,
        listener: Callable[[DownloadItem], None] = lambda item: None,
        path: Path | None = None,
        environment: Mapping[str, str] | None = None,
        policy: RetryPolicy | None = None,
    ) -> None:
        """Load the entries of the last run, and lock their file until `close`.

        `path` is the queue's file, `environment` the children's environment.
        """
        self.policy = policy or RetryPolicy()
        self._listener = listener
        self._file = queue_file.QueueFile(path or queue_file.queue_file())
        self._environment = environment
        self._changed = threading.Condition(threading.RLock())
        self._items = {item.key: item for item in self._file.load()}
        self._running: _Running | None = None
        self._closing = False
        self._dirty = False
        self._given_up: list[Path] = []  # folders in the cache, to remove unfinished files from
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin, with the entries that are left of the last run."""
        if self._threads:
            return
        for work, name in ((self._work, "download queue"), (self._tidy, "download queue disk")):
            thread = threading.Thread(target=work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def items(self) -> tuple[DownloadItem, ...]:
        """Return every entry, in the order of the queue."""
        with self._changed:
            return tuple(self._items.values())

    def add(self, spec: ModelSpec, commit: str = "") -> DownloadItem:
        """Put a model at the end of the queue, or return its entry if it is in it already.

        `commit` pins the version to download. Raises ModelError where the spec names no Hub model.
        """
        check_hub_id(spec.source)
        check_revision(spec.revision)
        check_revision(commit)
        key = f"{spec.source}@{spec.revision}" if spec.revision else spec.source
        with self._changed:
            known = self._items.get(key)
            if known is not None and not known.state.is_over:
                return known
            self._items.pop(key, None)
            item = DownloadItem(key=key, spec=spec, commit=commit, added=time.time())
            self._items[key] = item
            self._forget_oldest()
            self._announce(item)
            return item

    def set_pending_lanes(self, keys: Collection[str], lanes: tuple[LaneChoice, ...]) -> None:
        """Store with these entries, and with no others, the lanes that wait for them."""
        with self._changed:
            for key, item in self._items.items():
                changed = msgspec.structs.replace(item, lanes=lanes if key in keys else ())
                self._items[key] = changed
                self._dirty = self._dirty or changed != item
            self._changed.notify_all()

    def cancel(self, key: str) -> None:
        """Stop or skip an entry. Finished files stay, unfinished ones are removed."""
        with self._changed:
            item = self._items.get(key)
            if item is None or item.state.is_over:
                return
            self._put(item, state=DownloadState.CANCELLED, bytes_per_s=0.0, message="", remedy="")
            self._give_up(item)

    def retry(self, key: str) -> None:
        """Try a failed or cancelled entry again, or one that waits for its retry."""
        with self._changed:
            item = self._items.get(key)
            ended = item is not None and (item.state.is_over or item.retry_at)
            if item is None or not ended or item.state is DownloadState.FINISHED:
                return
            self._put(
                item,
                state=DownloadState.WAITING,
                attempt=0,
                retry_at=0.0,
                message="",
                remedy="",
                ask_at="",
                needs_login=False,
            )

    def remove(self, key: str) -> None:
        """Cancel an entry and drop it from the list; its finished files stay."""
        with self._changed:
            self.cancel(key)
            item = self._items.pop(key, None)
            if item is not None:
                self._dirty = True
                if item.state is DownloadState.FAILED:
                    self._give_up(item)
                self._changed.notify_all()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Stop, and save what is left for the next start; return False if a thread still runs."""
        with self._changed:
            self._closing = True
            if self._running is not None:
                self._running.download.stop()
            self._changed.notify_all()
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        with self._changed:
            items = tuple(self._items.values())
        if self._threads or self._dirty:
            self._file.save(items)
        self._file.release()
        return not any(thread.is_alive() for thread in self._threads)

    # The working thread

    def _work(self) -> None:
        while True:
            with self._changed:
                item = self._next()
                while item is None and not self._closing:
                    self._changed.wait(self._until_due())
                    item = self._next()
                if self._closing or item is None:
                    return
                try:
                    download = Download(item.spec, self._environment, item.commit, item.repository)
                except ModelError as error:
                    self._put(
                        item, state=DownloadState.FAILED, message=error.message, remedy=error.remedy
                    )
                    continue
                self._put(item, state=DownloadState.PLANNING, retry_at=0.0, quiet_s=0.0)
                self._running = _Running(item.key, download)
            try:
                self._run(item.key, download)
            finally:
                with self._changed:
                    self._running = None

    def _next(self) -> DownloadItem | None:
        """Return the first entry that can be started now."""
        now = time.monotonic()
        for item in self._items.values():
            if item.state is DownloadState.WAITING:
                return item
            if item.state is DownloadState.RETRYING and item.retry_at <= now:
                return item
        return None

    def _until_due(self) -> float | None:
        """Return the seconds until the next retry, None if there is none."""
        due = [i.retry_at for i in self._items.values() if i.state is DownloadState.RETRYING]
        # At most a minute: the machine may sleep.
        return min(60.0, max(0.01, min(due) - time.monotonic())) if due else None

    def _run(self, key: str, download: Download) -> None:
        watch = _Watch(download, self.policy.stall_s)
        event: DownloadEvent
        try:
            with watch:
                download.start()
                for event in download.events():
                    watch.see(event)
                    self._take(key, event, watch)
        except Exception as error:  # a bug must end this download only
            download.stop()
            for _ in download.events():  # to the end, so that the child is gone
                pass
            broken = Broken("The download could not be run.", "Try again.", repr(error))
            self._take(key, broken, watch)

    def _take(self, key: str, event: DownloadEvent, watch: _Watch) -> None:
        with self._changed:
            item = self._items.get(key)
            if item is None or not item.state.is_active:
                return  # cancelled, and perhaps added again
            match event:
                case Planned():
                    gained = event.present_bytes > item.present_bytes
                    self._put(
                        item,
                        state=DownloadState.RUNNING,
                        commit=event.commit,
                        repository=event.repository,
                        files=event.files,
                        total_bytes=event.total_bytes,
                        done_bytes=event.present_bytes,
                        present_bytes=event.present_bytes,
                        attempt=0 if gained else item.attempt,
                        message="",
                        remedy="",
                    )
                case Advanced():
                    self._put(
                        item,
                        keep=False,
                        done_bytes=event.done_bytes,
                        total_bytes=event.total_bytes,
                        bytes_per_s=event.bytes_per_s,
                        quiet_s=event.quiet_s,
                    )
                case Completed():
                    self._put(
                        item,
                        state=DownloadState.FINISHED,
                        folder=event.folder,
                        commit=event.commit,
                        done_bytes=item.total_bytes,
                        bytes_per_s=0.0,
                        attempt=0,
                    )
                case Broken():
                    self._failed(item, event)
                case _ if watch.stalled:
                    self._failed(item, watch.broken())
                case _ if self._closing:
                    self._put(item, state=DownloadState.WAITING, bytes_per_s=0.0)
                case _:
                    self._put(item, state=DownloadState.CANCELLED, bytes_per_s=0.0)

    def _failed(self, item: DownloadItem, event: Broken) -> None:
        log.warning("download of %s: %s\n%s", item.key, event.message, event.detail)
        attempt = item.attempt + 1
        changes: dict[str, Any] = {
            "attempt": attempt,
            "message": event.message,
            "remedy": event.remedy,
            "bytes_per_s": 0.0,
            "ask_at": event.ask_at,
            "needs_login": event.needs_login,
        }
        if event.gone and item.commit:
            # A retry takes the present version.
            changes |= {
                "commit": "",
                "message": f"The version of {item.spec.source} that was chosen is gone.",
                "remedy": "Try again to download the present one.",
            }
        if self._closing:
            self._put(item, state=DownloadState.WAITING, bytes_per_s=0.0)
        elif event.retryable and attempt < self.policy.attempts:
            wait = self.policy.wait_s(attempt, event.wait_s)
            self._put(
                item, state=DownloadState.RETRYING, retry_at=time.monotonic() + wait, **changes
            )
        else:
            self._put(item, state=DownloadState.FAILED, **changes)

    # Changes; the caller holds the lock

    def _put(self, item: DownloadItem, *, keep: bool = True, **changes: object) -> None:
        """Change an entry; without `keep` the file is not written for it."""
        changed = msgspec.structs.replace(item, **changes)
        if item.key in self._items:
            self._items[item.key] = changed
            self._announce(changed, keep=keep)

    def _announce(self, item: DownloadItem, *, keep: bool = True) -> None:
        self._dirty = self._dirty or keep
        self._changed.notify_all()
        self._listener(item)

    def _forget_oldest(self) -> None:
        over = [item.key for item in self._items.values() if item.state.is_over]
        for key in over[: max(0, len(over) - KEPT_OVER)]:
            del self._items[key]

    def _give_up(self, item: DownloadItem) -> None:
        """Have the unfinished files of an entry removed."""
        if self._running is not None and self._running.key == item.key:
            self._running.download.cancel()
        # Also where a download runs: its end may have passed the removal.
        if item.repository:
            self._given_up.append(Path(item.repository))
            self._changed.notify_all()

    def _tidy(self) -> None:
        """Write the file after changes, and remove what was given up.

        A thread does it, so that a slow disk blocks nobody.
        """
        while True:
            with self._changed:
                while not (self._dirty or self._given_up or self._closing):
                    self._changed.wait()
                given_up, self._given_up = self._given_up, []
                if not self._closing:  # else `close` writes it last
                    dirty, self._dirty = self._dirty, False
                    items = tuple(self._items.values())
                closing = self._closing
            for repository in given_up:
                partial_files.discard(repository)
            if closing:
                return
            if dirty:
                self._file.save(items)


class _Watch:
    """Ends a download in which no byte has come for too long."""

    def __init__(self, download: Download, stall_s: float) -> None:
        self._download = download
        self._stall_s = stall_s
        self._moved = threading.Event()
        self._over = False
        self.stalled = False
        self._thread = threading.Thread(target=self._run, name="download watch", daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over = True
        self._moved.set()
        self._thread.join()

    def see(self, event: DownloadEvent) -> None:
        """Restart the clock if the event shows progress."""
        if not isinstance(event, Advanced) or event.quiet_s < _MOVING_S:
            self._moved.set()

    def broken(self) -> Broken:
        return Broken(
            f"No byte has arrived for {human_duration(self._stall_s)}.",
            "Check the network; what has arrived is kept.",
            retryable=True,
        )

    def _run(self) -> None:
        while self._moved.wait(self._stall_s):
            if self._over:
                return
            self._moved.clear()
        self.stalled = True
        self._download.stop()
