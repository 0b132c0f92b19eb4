"""The download queue: one child process after the other, retried, and kept over restarts."""

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
from playground.core.precision import Precision
from playground.hub.downloads import queue_file
from playground.hub.downloads.download import Download
from playground.hub.downloads.events import Advanced, Broken, Completed, DownloadEvent, Planned
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.source import check_hub_id, check_revision

log = logging.getLogger(__name__)

#: Entries that are over and still shown; the oldest go.
KEPT_OVER = 50


@dataclass(frozen=True)
class RetryPolicy:
    """When a download is tried again. Times in seconds.

    Attempts that bring no further file count as failed in a row; the wait doubles with each,
    and is never shorter than what the Hub asks for. `stall_s` without a byte ends an attempt:
    longer than the library's own time-outs, after which it takes a broken file up again.
    """

    attempts: int = 6
    first_wait_s: float = 2.0
    longest_wait_s: float = 300.0
    stall_s: float = 90.0

    def wait_s(self, failed: int, asked: float) -> float:
        """The wait after so many failed attempts, at least what the Hub asked for."""
        doubled = self.first_wait_s * 2.0 ** min(failed - 1, 16)
        return max(min(doubled, self.longest_wait_s), asked)


class DownloadQueue:
    """Downloads models one after the other, in threads of its own; every method returns at once.

    `listener` is called at every change with the entry as it then is, on any thread and with
    the queue locked: it may only pass it on (emit a signal, put it in a queue).
    """

    def __init__(
        self,
        listener: Callable[[DownloadItem], None] = lambda item: None,
        path: Path | None = None,
        environment: Mapping[str, str] | None = None,
        policy: RetryPolicy | None = None,
    ) -> None:
        """Read what was left, and own its file until `close`.

        `path` is the queue's file, `environment` the children's.
        """
        self.policy = policy or RetryPolicy()
        self._listener = listener
        self._file = queue_file.QueueFile(path or queue_file.queue_file())
        self._environment = environment
        self._changed = threading.Condition(threading.RLock())
        self._items = {item.key: item for item in self._file.load()}
        self._running: tuple[str, Download] | None = None
        self._closing = False
        self._dirty = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin, with what is left of the last time."""
        if self._threads:
            return
        for work, name in ((self._work, "download queue"), (self._save, "download queue file")):
            thread = threading.Thread(target=work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def items(self) -> tuple[DownloadItem, ...]:
        """Every entry, in the order of the queue."""
        with self._changed:
            return tuple(self._items.values())

    def add(self, spec: ModelSpec, commit: str = "") -> DownloadItem:
        """Put a model at the end of the queue; one that is in it already is returned.

        With the `commit` whose page was read, exactly that version is downloaded. Raises
        ModelError where the spec names no Hub model.
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
            self._tell(item)
            return item

    def want(self, keys: Collection[str], lanes: tuple[tuple[ModelSpec, Precision], ...]) -> None:
        """Keep with these entries, and with no others, which lanes wait for them."""
        with self._changed:
            for key, item in self._items.items():
                changed = msgspec.structs.replace(item, lanes=lanes if key in keys else ())
                self._items[key] = changed
                self._dirty = self._dirty or changed != item
            self._changed.notify_all()

    def cancel(self, key: str) -> None:
        """Stop an entry or take it off its turn. Finished files stay, unfinished ones go."""
        with self._changed:
            item = self._items.get(key)
            if item is None or item.state.is_over:
                return
            self._put(item, state=DownloadState.CANCELLED, bytes_per_s=0.0, message="", remedy="")
            if self._running is not None and self._running[0] == key:
                self._running[1].cancel()

    def retry(self, key: str) -> None:
        """Try a failed, cancelled or waiting entry again, now."""
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
        """Take an entry out of the list, after cancelling it; its files stay."""
        with self._changed:
            self.cancel(key)
            if self._items.pop(key, None) is not None:
                self._dirty = True
                self._changed.notify_all()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Stop, and keep what is left for the next start; False where a thread still runs."""
        with self._changed:
            self._closing = True
            if self._running is not None:
                self._running[1].cancel()
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
                    download = Download(item.spec, self._environment, item.commit)
                except ModelError as error:
                    self._put(
                        item, state=DownloadState.FAILED, message=error.message, remedy=error.remedy
                    )
                    continue
                self._put(item, state=DownloadState.PLANNING, retry_at=0.0, quiet_s=0.0)
                self._running = (item.key, download)
            try:
                self._run(item.key, download)
            finally:
                with self._changed:
                    self._running = None

    def _next(self) -> DownloadItem | None:
        """The first entry whose turn it is."""
        now = time.time()
        for item in self._items.values():
            if item.state is DownloadState.WAITING:
                return item
            if item.state is DownloadState.RETRYING and item.retry_at <= now:
                return item
        return None

    def _until_due(self) -> float | None:
        """Seconds until the next retry, None where nothing waits for one."""
        due = [i.retry_at for i in self._items.values() if i.state is DownloadState.RETRYING]
        # Looked at once a minute at least: the clock may be set, or the machine may have slept.
        return min(60.0, max(0.01, min(due) - time.time())) if due else None

    def _run(self, key: str, download: Download) -> None:
        watch = _Watch(download, self.policy.stall_s)
        event: DownloadEvent
        try:
            with watch:
                download.start()
                for event in download.events():
                    watch.see(event)
                    self._take(key, event, watch)
        except Exception as error:  # a defect must end this download only
            download.cancel()
            for _ in download.events():  # to its end, so that nothing unfinished stays
                pass
            broken = Broken("The download could not be run.", "Try again.", repr(error))
            self._take(key, broken, watch)

    def _take(self, key: str, event: DownloadEvent, watch: _Watch) -> None:
        with self._changed:
            item = self._items.get(key)
            if item is None or not item.state.is_active:
                return  # cancelled, and perhaps put in the queue again
            match event:
                case Planned():
                    gained = event.present_bytes > item.present_bytes
                    self._put(
                        item,
                        state=DownloadState.RUNNING,
                        commit=event.commit,
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
        told: dict[str, Any] = {
            "attempt": attempt,
            "message": event.message,
            "remedy": event.remedy,
            "bytes_per_s": 0.0,
            "ask_at": event.ask_at,
            "needs_login": event.needs_login,
        }
        if event.gone and item.commit:
            # Trying again takes the version that is there now.
            told |= {
                "commit": "",
                "message": f"The version of {item.spec.source} that was chosen is gone.",
                "remedy": "Try again to download the present one.",
            }
        if self._closing:
            self._put(item, state=DownloadState.WAITING, bytes_per_s=0.0)
        elif event.retryable and attempt < self.policy.attempts:
            wait = self.policy.wait_s(attempt, event.wait_s)
            self._put(item, state=DownloadState.RETRYING, retry_at=time.time() + wait, **told)
        else:
            self._put(item, state=DownloadState.FAILED, **told)

    # Changes; all with the lock

    def _put(self, item: DownloadItem, *, keep: bool = True, **changes: Any) -> None:
        """Change an entry. Without `keep` it is not worth writing the file."""
        changed = msgspec.structs.replace(item, **changes)
        if item.key in self._items:
            self._items[item.key] = changed
            self._tell(changed, keep=keep)

    def _tell(self, item: DownloadItem, *, keep: bool = True) -> None:
        self._dirty = self._dirty or keep
        self._changed.notify_all()
        self._listener(item)

    def _forget_oldest(self) -> None:
        over = [item.key for item in self._items.values() if item.state.is_over]
        for key in over[: max(0, len(over) - KEPT_OVER)]:
            del self._items[key]

    def _save(self) -> None:
        """Write the file after changes: the disk must not stop whoever makes them."""
        while True:
            with self._changed:
                while not self._dirty and not self._closing:
                    self._changed.wait()
                if self._closing:
                    return  # `close` writes it last
                self._dirty = False
                items = tuple(self._items.values())
            self._file.save(items)


class _Watch:
    """Ends a download in which nothing has moved for too long."""

    def __init__(self, download: Download, stall_s: float) -> None:
        self._download = download
        self._stall_s = stall_s
        self._moved = threading.Event()
        self._done_bytes = -1
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
        """Note whether an event shows that something moved."""
        if isinstance(event, Advanced):
            if event.done_bytes == self._done_bytes:
                return
            self._done_bytes = event.done_bytes
        self._moved.set()

    def broken(self) -> Broken:
        return Broken(
            f"No byte has come for {self._stall_s:.0f} seconds.",
            "Check the network; finished files are kept.",
            retryable=True,
        )

    def _run(self) -> None:
        while self._moved.wait(self._stall_s):
            if self._over:
                return
            self._moved.clear()
        self.stalled = True
        self._download.cancel()
