"""Reports the progress of a download at a steady pace."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from playground.hub.downloads.events import Advanced
from playground.hub.downloads.transfer import HubFile

REPORT_EVERY_S = 0.2
_RATE_WINDOW_S = 5.0


class ProgressReporter:
    """Measures the files on disk, which is right for every way of transfer."""

    def __init__(
        self,
        files: Sequence[HubFile],
        bytes_here: Callable[[HubFile], int],
        emit: Callable[[Advanced], None],
    ) -> None:
        """`bytes_here` returns the bytes of a file that are on this machine."""
        self._files = files
        self._bytes_here = bytes_here
        self._emit = emit
        self.total_bytes = sum(file.size for file in files)
        self.done_bytes = self._measure()
        self._moved_at = time.monotonic()
        self._samples: deque[tuple[float, int]] = deque([(self._moved_at, self.done_bytes)])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> ProgressReporter:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def checked(self, _bytes: int) -> None:
        """Note that received bytes were compared with their hash: the download is not idle."""
        self._moved_at = time.monotonic()

    def _run(self) -> None:
        while not self._stop.wait(REPORT_EVERY_S):
            self._report()
        self._report()

    def _report(self) -> None:
        done, now = self._measure(), time.monotonic()
        if done > self.done_bytes:
            self.done_bytes, self._moved_at = done, now
        self._samples.append((now, self.done_bytes))
        while now - self._samples[0][0] > _RATE_WINDOW_S and len(self._samples) > 2:
            self._samples.popleft()
        then, before = self._samples[0]
        self._emit(
            Advanced(
                done_bytes=self.done_bytes,
                total_bytes=self.total_bytes,
                bytes_per_s=(self.done_bytes - before) / (now - then) if now > then else 0.0,
                quiet_s=max(0.0, now - self._moved_at),
            )
        )

    def _measure(self) -> int:
        return sum(map(self._bytes_here, self._files))
