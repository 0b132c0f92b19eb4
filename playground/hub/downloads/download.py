"""Starts, watches and cancels one download, which runs in a child process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

import playground
from playground.core.facts import ModelSpec
from playground.hub.downloads import partial_files
from playground.hub.downloads.events import (
    Broken,
    Cancelled,
    Completed,
    DownloadEvent,
    Planned,
    decode_line,
)
from playground.hub.redaction import redact
from playground.hub.source import check_hub_id, check_revision

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_GRACE_S = 5.0


class Download:
    """One download. `events` is for one reading thread; `stop` and `cancel` may be called from any.

    Unfinished files stay, for the next download to go on with; only `cancel` removes them.
    """

    def __init__(
        self,
        spec: ModelSpec,
        environment: Mapping[str, str] | None = None,
        commit: str = "",
        repository: str = "",
    ) -> None:
        """Start nothing yet. Raises ModelError where the spec names no Hub model.

        `environment` replaces this process's for the child. A `commit` is downloaded in place of
        the one that the spec's revision names by now. `repository` is the model's folder in the
        cache, where an earlier download has told it.
        """
        check_hub_id(spec.source)
        check_revision(spec.revision)
        check_revision(commit)
        self.spec = spec
        self._commit = commit
        self._environment = child_environment(environment or os.environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stopped = self._cancelled = False
        self._repository = repository
        self._stderr: deque[str] = deque(maxlen=200)
        self._drainer: threading.Thread | None = None
        self._end: DownloadEvent | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the child; returns at once."""
        with self._lock:
            if self._stopped:
                return
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "playground.hub.downloads.child"),
                    *(self.spec.source, self.spec.revision, self._commit),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,  # Ctrl+C in a terminal is for the application to handle
            )
            self._drainer = threading.Thread(
                target=self._drain, args=(self._process,), name="download stderr", daemon=True
            )
            self._drainer.start()

    def events(self) -> Iterator[DownloadEvent]:
        """Yield events as they come; the last is always Completed, Broken or Cancelled."""
        process = self._process
        if process is None or self._end is not None:
            self._clean_up()
            yield self._end or Cancelled()
            return
        end: DownloadEvent | None = None
        assert process.stdout is not None  # noqa: S101  # it is a pipe, see start
        for line in process.stdout:
            try:
                event = decode_line(line)
            except msgspec.DecodeError:
                continue  # cut off by the kill
            if isinstance(event, Completed | Broken):
                end = event
                continue
            if isinstance(event, Planned):
                self._repository = event.repository
            yield event
        process.wait()
        if self._drainer is not None:
            self._drainer.join(_GRACE_S)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._clean_up()
        if self._stopped and not isinstance(end, Completed):
            end = Cancelled()
        self._end = end or self._died(process.returncode)
        yield self._end

    def cancel(self) -> None:
        """Stop, and give up the unfinished files, which `events` then removes."""
        self._cancelled = True
        self.stop()

    def stop(self) -> None:
        """Kill the child without waiting; unfinished files stay."""
        with self._lock:
            self._stopped = True
            process = self._process
            if process is None or process.poll() is not None:
                return
            with contextlib.suppress(OSError):
                process.kill()

    def _clean_up(self) -> None:
        if self._cancelled and self._repository:
            partial_files.discard(Path(self._repository))

    def _drain(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None  # noqa: S101  # it is a pipe, see start
        for line in process.stderr:
            self._stderr.append(line.decode("utf-8", "replace"))

    def _died(self, code: int) -> Broken:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return Broken(
            f"The process that downloaded {self.spec.source} {how}.",
            "Start it again; it goes on where it stopped.",
            redact("".join(self._stderr)),
            retryable=True,
        )


def child_environment(parent: Mapping[str, str]) -> dict[str, str]:
    """Return a child's environment: this package, no progress bars, no proxy for this machine."""
    environment = dict(parent)
    package = str(Path(playground.__file__).resolve().parents[1])
    paths = [package, *filter(None, [environment.get("PYTHONPATH", "")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    environment["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    environment["PYTHONUNBUFFERED"] = "1"
    # With HF_DEBUG the library logs requests, and the token in them.
    environment.pop("HF_DEBUG", None)
    if urlsplit(environment.get("HF_ENDPOINT", "")).hostname in _LOOPBACK:
        for name in ("NO_PROXY", "no_proxy"):
            others = [environment[name]] if environment.get(name) else []
            environment[name] = ",".join([*others, *_LOOPBACK])
    return environment
