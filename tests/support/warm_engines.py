"""A process that has the engines' libraries imported, and forks an engine wherever one starts.

Importing torch and transformers takes an engine five seconds of processor time, and a fork of
a process that has them takes milliseconds. The child is in every respect what a started
process would be: a child of this process, in a session of its own, with its own exit code.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from playground.client.engine_process import child_environment, default_command

#: What every load needs. None of them runs a parallel region when it is imported: a fork does
#: not take threads along. (gptqmodel starts some, so that each engine imports it itself.)
_LIBRARIES = (
    "playground.engine.serving.runtime",
    "playground.engine.quantizing.job",
    "transformers.models.llama.modeling_llama",
    "bitsandbytes",
)
#: Variables that are read after the imports, so that an engine may have its own.
_READ_LATE = {
    "PLAYGROUND_HOME",
    "HF_MODULES_CACHE",
    "PYTEST_CURRENT_TEST",
    "TORCHINDUCTOR_CACHE_DIR",  # which torch sets when a test imports it
}
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_READY = b"ready"  # the forking process's first message


class Forked:
    """A forked child: what EngineProcess uses of subprocess.Popen."""

    def __init__(self, pid: int, stdin: int, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin = os.fdopen(stdin, "wb", buffering=0)
        self.stdout = os.fdopen(stdout, "rb", buffering=0)
        self.stderr = os.fdopen(stderr, "rb", buffering=0)

    def wait(self) -> int:
        """Wait for the end; return the exit code, or minus the signal's number."""
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


class WarmEngines:
    """The forking process, started with the first engine."""

    def __init__(self) -> None:
        self._environment = child_environment()
        self._control, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """The forking process's; 0 before the first engine."""
        return self._server.pid if self._server else 0

    def can_start(self, command: Sequence[str], env: Mapping[str, str]) -> bool:
        """Whether a fork would be the engine that the command starts in this environment."""
        differing = {name for name, _ in self._environment.items() ^ env.items()}
        # CUDA does not work in the fork of a process that looked for a GPU.
        has_gpu = Path("/dev/nvidiactl").exists()
        return list(command) == default_command() and differing <= _READ_LATE and not has_gpu

    def prepare(self) -> None:
        """Block until the forking process has imported the libraries, so that forks are quick."""
        with self._lock:
            if self._server is None:
                self._serve()

    def start(self, env: Mapping[str, str]) -> Forked:
        """Fork an engine."""
        (stdin, our_stdin), (our_stdout, stdout), (our_stderr, stderr) = (
            os.pipe() for _ in range(3)
        )
        with self._lock, _adopting_orphans():
            if self._server is None:
                self._serve()
            socket.send_fds(
                self._control, [json.dumps(dict(env)).encode()], [stdin, stdout, stderr]
            )
            answer = self._control.recv(64)
            assert answer, "the forking process has ended; its stderr says why"
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
        return Forked(int(answer), our_stdin, our_stdout, our_stderr)

    def close(self) -> None:
        """End the forking process."""
        self._theirs.close()
        self._control.close()
        if self._server is not None:
            self._server.wait()

    def _serve(self) -> None:
        control = self._theirs.fileno()
        self._server = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", __name__, str(control)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=self._environment,
            pass_fds=[control],
        )
        self._theirs.close()
        assert self._control.recv(64) == _READY, "the forking process has ended; see its stderr"


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """While inside, a process whose parent ends becomes a child of this one."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SUBREAPER, 0, 0, 0, 0)


def _fork_on_request(control: socket.socket) -> None:
    """Return in each forked child only, which has the request's pipes and environment."""
    control.send(_READY)
    while True:
        request, descriptors, *_ = socket.recv_fds(control, 1 << 20, 3)
        if not request:
            os._exit(0)
        answer, answering = os.pipe()
        parent = os.fork()
        if not parent:
            if os.fork():
                os._exit(0)
            break
        # Only when its parent is gone the child belongs to the process that asked for it.
        os.waitpid(parent, 0)
        control.send(os.read(answer, 64))
        for descriptor in (answer, answering, *descriptors):
            os.close(descriptor)
    os.setsid()
    # Only now: whoever knows its id may kill its group.
    os.write(answering, str(os.getpid()).encode())
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    for descriptor in (answer, answering, *descriptors):
        os.close(descriptor)
    control.close()
    os.environ.clear()
    os.environ.update(json.loads(request))


def main() -> None:
    """Import the libraries, and be an engine in each fork."""
    from playground.engine.serving import server

    for name, value in server.ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for library in _LIBRARIES:
        importlib.import_module(library)
    _fork_on_request(socket.socket(fileno=int(sys.argv[1])))
    modules = os.environ.get("HF_MODULES_CACHE")
    if modules:  # transformers read it when it was imported
        sys.modules["transformers.dynamic_module_utils"].HF_MODULES_CACHE = modules  # type: ignore[attr-defined]
    runpy.run_module("playground.engine", run_name="__main__")


if __name__ == "__main__":
    main()
