"""Runs an engine in a process of its own: starts it, talks to it, watches it, ends it."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from playground.client.outcome import Outcome
from playground.core.errors import EngineError, ProtocolError
from playground.core.protocol import (
    PROTOCOL_VERSION,
    Alive,
    Command,
    Event,
    Hello,
    Quit,
    encode,
    event_decoder,
)

#: How much of the end of stderr is kept for an error report (bytes).
STDERR_KEPT = 64 * 1024
#: Seconds an engine gets to exit by itself, and then to react to SIGTERM.
QUIT_WAIT_S = 2.0
TERMINATE_WAIT_S = 3.0
#: Seconds an engine may run on after its output has ended.
_EOF_WAIT_S = 2.0
_READ_SIZE = 1 << 16


def default_command() -> list[str]:
    """Return how to start this package's engine in this Python.

    -X faulthandler prints where a crash in compiled code was.
    """
    return [sys.executable, "-X", "faulthandler", "-m", "playground.engine"]


def launch(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start an engine's program with pipes to it. Raises OSError where it cannot be run."""
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=env,
        start_new_session=True,  # a Ctrl+C in the terminal is the client's to handle
    )


def child_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an engine's environment variables: ours, offline, with this package importable."""
    env = dict(os.environ)
    env.update(
        HF_HUB_OFFLINE="1",  # engines read local folders only; clients resolve Hub ids
        TRANSFORMERS_OFFLINE="1",
        HF_HUB_DISABLE_TELEMETRY="1",
        TOKENIZERS_PARALLELISM="false",
        PYTHONSAFEPATH="1",  # a random.py in the current folder must not shadow a module
        PYTHONIOENCODING="utf-8",
    )
    root = Path(__file__).resolve().parents[2]
    if root.name not in ("site-packages", "dist-packages"):
        inherited = env.get("PYTHONPATH")
        env["PYTHONPATH"] = f"{root}{os.pathsep}{inherited}" if inherited else str(root)
    env.update(changes or {})
    return env


class EngineProcess:
    """An `Engine` that is a child process.

    `close` blocks for up to five seconds. No engine survives its client: it exits when its
    stdin is closed. When it has exited, the rest of its process group is killed.
    """

    def __init__(
        self, command: Sequence[str] | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.command = list(command) if command is not None else default_command()
        self._env = child_environment(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._decoder = event_decoder()
        self._stderr: deque[bytes] = deque()
        self._stderr_size = 0
        self._threads: dict[str, threading.Thread] = {}
        # Reentrant, so that a signal handler may call kill() at any moment.
        self._lock = threading.RLock()
        self._read_lock = threading.Lock()
        self._ended = threading.Event()
        self._end_requested = False
        self._end_was_requested = False  # `_end_requested` when the process exited
        self._reason = ""
        self._reads = 0  # pieces of its output read so far

    # Start and end

    def start(self) -> None:
        """Start the process. Raises EngineError where the program cannot be run."""
        if self._process is not None:
            raise EngineError("The engine was started twice.", "Create a new one for every load.")
        try:
            self._process = launch(self.command, self._env)
        except OSError as error:
            raise EngineError(
                f"The engine could not be started: {error.strerror or error}.",
                f"Check that {self.command[0]} exists and may be run.",
                str(error),
            ) from error
        for work in (self._send_all, self._drain_stderr, self._watch):
            name = work.__name__.strip("_")
            thread = threading.Thread(
                target=work, name=f"engine-{self._process.pid}-{name}", daemon=True
            )
            self._threads[name] = thread
            thread.start()

    def close(self) -> Outcome:
        """Ask the engine to quit, then terminate it, then kill it; return when it is gone."""
        if self._process is None:
            return Outcome(0, expected=True)
        with self._lock:
            self._end_requested = True
        self._outgoing.put(encode(Quit()))
        self._outgoing.put(None)
        if not self._ended.wait(QUIT_WAIT_S):
            self._signal_group(signal.SIGTERM)
            if not self._ended.wait(TERMINATE_WAIT_S):
                self._signal_group(signal.SIGKILL)
                self._ended.wait()
        for thread in tuple(self._threads.values()):
            if thread is not threading.current_thread():
                thread.join(timeout=1.0)
        self._close_stdout()
        return self.outcome()

    def kill(self) -> None:
        """Kill the process group at once; `events` ends soon after. Does not wait."""
        with self._lock:
            self._end_requested = True
        self._outgoing.put(None)
        self._signal_group(signal.SIGKILL)

    def __enter__(self) -> EngineProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Commands and events

    def send(self, command: Command) -> None:
        """Queue a command. Never blocks; has no effect after the engine's end."""
        self._outgoing.put(encode(command))

    def events(self) -> Iterator[Event]:
        """Yield events until the engine ends; block between them. For one thread.

        Raises ProtocolError, after killing the engine, for bytes that are no event.
        """
        try:
            while data := self._read():
                self._reads += 1
                for event in self._decoder.feed(data):
                    _check_version(event)
                    if not isinstance(event, Alive):
                        yield event
        except ProtocolError as error:
            self._end_for(f"{error.message} It was ended.")
            error.detail = "\n".join(part for part in (error.detail, self.stderr_tail()) if part)
            raise
        if not self._ended.wait(_EOF_WAIT_S):
            self._end_for("The engine closed its output but went on, and was ended.")

    # Facts

    @property
    def pid(self) -> int:
        """The id of the process; 0 before the start."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and not self._ended.is_set()

    @property
    def ended(self) -> bool:
        """Whether the process was started and is gone."""
        return self._ended.is_set()

    def outcome(self) -> Outcome:
        """Return how the engine ended, or that it still runs. Does not block."""
        if self._process is None or not self._ended.is_set():
            return Outcome(None, expected=self._end_requested)
        return Outcome(
            self._process.returncode, self._end_was_requested, self.stderr_tail(), self._reason
        )

    def stderr_tail(self) -> str:
        """Return the last 64 KiB that the engine wrote to stderr."""
        with self._lock:
            data = b"".join(self._stderr)
        return data[-STDERR_KEPT:].decode("utf-8", "replace")

    def pulse(self) -> tuple[int, float]:
        """Return how often the engine has written, and the processor seconds it has used.

        Each of them grows in an engine that lives: its beat reports one that waits, and one that
        computes without letting the beat run uses the processor.
        """
        seconds = 0.0
        with contextlib.suppress(psutil.Error):
            if self.alive:
                times = psutil.Process(self.pid).cpu_times()
                seconds = times.user + times.system
        return self._reads, seconds

    def memory_bytes(self) -> int:
        """Return the memory that only this engine and its children use now; 0 once it is gone."""
        if not self.alive:
            return 0
        total = 0
        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(self.pid)
            for process in (leader, *leader.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += _unique_bytes(process)
        return total

    # One thread each

    def _send_all(self) -> None:
        stdin = self._pipe("stdin")
        with contextlib.suppress(OSError), stdin:  # `_watch` reports what broke the pipe
            while (frame := self._outgoing.get()) is not None:
                view = memoryview(frame)
                while view:
                    view = view[stdin.write(view) :]

    def _drain_stderr(self) -> None:
        with self._pipe("stderr") as stderr:
            while data := stderr.read(_READ_SIZE):
                with self._lock:
                    self._stderr.append(data)
                    self._stderr_size += len(data)
                    while self._stderr_size - len(self._stderr[0]) >= STDERR_KEPT:
                        self._stderr_size -= len(self._stderr.popleft())

    def _watch(self) -> None:
        process = self._process
        if process is None:
            return
        # The process is not reaped yet, so that its group's id cannot be reused.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            self._end_was_requested = self._end_requested
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._outgoing.put(None)
        # An outcome shows the end of stderr, which may not be read yet.
        self._threads["drain_stderr"].join(timeout=1.0)
        self._ended.set()

    # Helpers

    def _end_for(self, reason: str) -> None:
        """Kill the engine for a fault of its own; `reason` is a sentence for the user."""
        if not self._end_requested:
            self._reason = reason
        self._signal_group(signal.SIGKILL)
        self._ended.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        with self._lock:
            process = self._process
            if process is None or process.returncode is not None:
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

    def _read(self) -> bytes:
        with self._read_lock:
            stdout = self._pipe("stdout")
            return b"" if stdout.closed else stdout.read(_READ_SIZE) or b""

    def _close_stdout(self) -> None:
        # A reader in another thread has reached the end of the file and releases the lock.
        if self._read_lock.acquire(timeout=1.0):
            try:
                self._pipe("stdout").close()
            finally:
                self._read_lock.release()

    def _pipe(self, name: str) -> IO[bytes]:
        pipe: IO[bytes] | None = getattr(self._process, name, None)
        if pipe is None:
            raise EngineError("The engine was not started.", "Start it first.")
        return pipe


def _check_version(event: Event) -> None:
    if isinstance(event, Hello) and event.protocol != PROTOCOL_VERSION:
        raise ProtocolError(
            "The engine has another version than this program.",
            "Use the same version of the playground in both environments.",
            f"protocol {event.protocol}, {PROTOCOL_VERSION} is expected",
        )


def _unique_bytes(process: psutil.Process) -> int:
    """Return the memory that no other process shares; all resident memory where that is unknown."""
    try:
        return int(process.memory_full_info().uss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
