"""A server process that has imported the engines' libraries, and forks engines and scripts.

Importing torch and transformers takes an engine five seconds of processor time; a fork of a
process that has imported them takes milliseconds. A forked engine behaves as a started one: it
is a child of the test process, in a session of its own, with its own exit code.

The server holds no pipe of an engine, and it ends at the end of its control socket, which is
when the test process closes it or ends in any way.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from playground.client.engine_process import child_environment, default_command

# Test processes share the cores. Two threads of an engine that wait for each other at every layer
# lose most of their time as soon as another engine runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

#: What every load needs. None of them may start threads when it is imported, since a fork has
#: only the thread that forks: gptqmodel starts some, so each engine imports it itself.
_LIBRARIES = (
    "playground.engine.serving.runtime",
    "playground.engine.quantizing.job",
    "transformers.models.llama.modeling_llama",
    "bitsandbytes",
)
#: Variables that an engine reads after the imports or not at all: in them it may differ.
_READ_LATE = {
    "PLAYGROUND_HOME",
    "HF_MODULES_CACHE",
    "PYTEST_CURRENT_TEST",
    "TORCHINDUCTOR_CACHE_DIR",  # which torch sets when a test imports it
    "PYSIDE6_OPTION_PYTHON_ENUM",  # as pytest-qt does
    # Screens, which tests of the window and of the command line choose.
    "QT_QPA_PLATFORM",
    "DISPLAY",
    "WAYLAND_DISPLAY",
}
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


class Forked:
    """A forked engine, with what EngineProcess uses of `subprocess.Popen`."""

    def __init__(self, pid: int, stdin: int, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin = os.fdopen(stdin, "wb", buffering=0)
        self.stdout = os.fdopen(stdout, "rb", buffering=0)
        self.stderr = os.fdopen(stderr, "rb", buffering=0)

    def terminate(self) -> None:
        """End it by SIGTERM, and wait until it is gone."""
        os.kill(self.pid, signal.SIGTERM)
        self.wait()

    def wait(self) -> int:
        """Wait for the end; return the exit code, or minus the signal's number."""
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


class WarmEngines:
    """The client of the server, which starts with the first engine."""

    def __init__(self) -> None:
        self._environment: dict[str, str] = {}
        self.take_environment()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._lock = threading.Lock()

    def take_environment(self) -> None:
        """Take the variables of this process for those of the server, before it starts."""
        self._environment = child_environment()

    @property
    def pid(self) -> int:
        """The server's process id; 0 before the first engine."""
        return self._server.pid if self._server else 0

    def can_start(self, command: Sequence[str], env: Mapping[str, str]) -> bool:
        """Return whether a fork would be the engine that this command starts in `env`."""
        differing = {name for name, _ in self._environment.items() ^ env.items()}
        # CUDA does not work in the fork of a process that looked for a GPU.
        has_gpu = Path("/dev/nvidiactl").exists()
        return list(command) == default_command() and differing <= _READ_LATE and not has_gpu

    def prepare(self) -> None:
        """Block until the forking process has imported the libraries, so that forks are quick."""
        with self._lock:
            self._connected()

    def run(
        self, script: Path, arguments: Sequence[str], env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python script to its end in a fork."""
        process = self.start(env, (str(script), *arguments))
        process.stdin.close()
        with ThreadPoolExecutor(1) as pool:
            errors = pool.submit(process.stderr.read)
            output = process.stdout.read()
        code = process.wait()
        for stream in (process.stdout, process.stderr):
            stream.close()
        return subprocess.CompletedProcess(
            [str(script), *arguments], code, output.decode(), errors.result().decode()
        )

    def start(self, env: Mapping[str, str], script: Sequence[str] = ()) -> Forked:
        """Fork an engine, or a script with its arguments.

        Raises OSError where the server cannot; the next call starts another.
        """
        (stdin, our_stdin), (our_stdout, stdout), (our_stderr, stderr) = (
            os.pipe() for _ in range(3)
        )
        try:
            with self._lock:
                pid = self._fork(env, script, [stdin, stdout, stderr])
        except BaseException:
            for descriptor in (our_stdin, our_stdout, our_stderr):
                os.close(descriptor)
            raise
        finally:
            for descriptor in (stdin, stdout, stderr):
                os.close(descriptor)
        return Forked(pid, our_stdin, our_stdout, our_stderr)

    def close(self) -> None:
        """End the server. Engines that still run end with their stdin."""
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def _fork(self, env: Mapping[str, str], script: Sequence[str], pipes: Sequence[int]) -> int:
        control = self._connected()
        request = {"env": dict(env), "script": list(script)}
        with _adopting_orphans():
            socket.send_fds(control, [json.dumps(request).encode()], pipes)
            answer = control.recv(64)
        if not answer:
            self.close()
            raise OSError("the server of engines has failed; its stderr says why")
        return int(answer)

    def _connected(self) -> socket.socket:
        """Return the control socket of a server that is ready; start one where none runs."""
        if self._control is not None and self._server is not None and self._server.poll() is None:
            return self._control
        self.close()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=self._environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl+C in the terminal is for pytest to handle
            )
        if not self._control.recv(64):  # after the imports, seconds later
            self.close()
            raise OSError("the server of engines did not start; its stderr says why")
        return self._control


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """While inside, a descendant whose parent ends becomes a child of this process."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SUBREAPER, 0, 0, 0, 0)


def _fork_on_request(control: socket.socket) -> list[str]:
    """Serve requests; return in each fork only, with the request's pipes and variables.

    Returns the script that the fork is to run, with its arguments, [] for an engine. A request
    has variables and script as JSON, and three descriptors; the answer is the fork's process id.
    """
    control.send(b"ready")
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
        # The engine is the test process's child only when its parent has ended.
        os.waitpid(parent, 0)
        # Closed first, so that an engine that dies at once is an empty answer.
        for descriptor in (answering, *descriptors):
            os.close(descriptor)
        control.send(os.read(answer, 64))
        os.close(answer)
    os.setsid()
    # Only now, since whoever knows the id may kill its process group.
    os.write(answering, str(os.getpid()).encode())
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    for descriptor in (answer, answering, *descriptors):
        os.close(descriptor)
    control.close()
    wanted = json.loads(request)
    os.environ.clear()
    os.environ.update(wanted["env"])
    script: list[str] = wanted["script"]
    return script


#: The forking process of this test process.
SHARED = WarmEngines()


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def main() -> None:
    """Import the libraries, serve, and be an engine in each fork."""
    importlib.import_module("numpy")
    threads = _threads()  # numpy's BLAS prepares its own for forks
    from playground.engine.serving import server

    for name, value in server.ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for library in _LIBRARIES:
        importlib.import_module(library)
        assert _threads() == threads, f"{library} started threads, which a fork would not have"
    script = _fork_on_request(socket.socket(fileno=int(sys.argv[1])))
    modules = os.environ.get("HF_MODULES_CACHE")
    if modules:  # transformers read it when it was imported
        sys.modules["transformers.dynamic_module_utils"].HF_MODULES_CACHE = modules  # type: ignore[attr-defined]
    if script:
        sys.argv = script
        runpy.run_path(script[0], run_name="__main__")
    else:
        runpy.run_module("playground.engine", run_name="__main__")


if __name__ == "__main__":
    main()
