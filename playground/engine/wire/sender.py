"""Sends events to the client, in order; tokens in batches of about 16 ms."""

from __future__ import annotations

import os
import threading
import time

from playground.core.protocol import Alive, Event, Tokens, encode
from playground.engine.wire.inbox import leave

#: A batch holds the tokens that became ready within this time, in seconds.
BATCH_S = 0.016
#: After this many seconds without an event a sign of life is sent.
BEAT_S = 1.0


class Sender:
    """Writes events to a pipe.

    The first token after a pause is written at once: a slow model's tokens never wait. Those that
    follow within BATCH_S are written together, by the next token after that time or by a thread.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._pending = threading.Event()
        self._request_id = 0
        self._ids: list[int] = []
        self._texts: list[str] = []
        self._times: list[float] = []
        self._flushed_at = 0.0
        self._written_at = time.monotonic()
        self._beat_s: float | None = None
        threading.Thread(target=self._flush_late_tokens, name="sender", daemon=True).start()

    def start_beating(self) -> None:
        """Send Alive from now on whenever nothing else was sent for BEAT_S.

        A thread of its own does it, through imports, loads and compilations. It stops where the
        process is stopped, or where no thread can run Python.
        """
        self._beat_s = BEAT_S
        self._pending.set()

    def send(self, event: Event) -> None:
        """Write an event, after all pending tokens."""
        with self._lock:
            self._flush()
            self._write(event)

    def token(self, request_id: int, token_id: int, text: str, time_s: float) -> None:
        """Pass a token on; `time_s` is when it was ready, in seconds since the request was sent."""
        with self._lock:
            if request_id != self._request_id:
                self._flush()
                self._request_id = request_id
            self._ids.append(token_id)
            self._texts.append(text)
            self._times.append(time_s)
            if time.monotonic() - self._flushed_at >= BATCH_S:
                self._flush()
                return
        if not self._pending.is_set():
            self._pending.set()

    def _flush(self) -> None:
        if not self._ids:
            return
        batch = Tokens(
            request_id=self._request_id,
            ids=tuple(self._ids),
            texts=tuple(self._texts),
            times=tuple(self._times),
        )
        self._ids, self._texts, self._times = [], [], []
        self._flushed_at = time.monotonic()
        self._write(batch)

    def _flush_late_tokens(self) -> None:
        while True:
            if not self._pending.wait(self._beat_s):
                if time.monotonic() - self._written_at >= BEAT_S:
                    self.send(Alive())
                continue
            self._pending.clear()
            due = self._flushed_at + BATCH_S - time.monotonic()
            if due > 0:
                time.sleep(due)
            with self._lock:
                # A flush meanwhile may have started another batch, which is due later.
                if time.monotonic() - self._flushed_at >= BATCH_S:
                    self._flush()
                elif self._ids:
                    self._pending.set()

    def _write(self, event: Event) -> None:
        view = memoryview(encode(event))
        self._written_at = time.monotonic()
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            leave(1, f"engine: nobody reads its events any more ({error.strerror})")
