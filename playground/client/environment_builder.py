"""Makes an engine environment with auto-gptq: a virtual environment, filled by pip."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from playground.client.environments import bare, check
from playground.core.environments import AUTO_GPTQ, EngineEnvironment, check_name
from playground.core.errors import EngineError
from playground.core.format import size_text
from playground.core.system import paths

#: What works together with auto-gptq 0.7.1, on a CPU too, and what an engine needs beside.
PINNED = (
    "torch==2.13.0",
    "transformers==4.40.2",
    "numpy<2",
    "peft==0.10.0",
    "accelerate==0.30.1",
    "datasets==2.19.2",
    "pyarrow==17.0.0",
    "msgspec>=0.19",
    "platformdirs>=4.2",
    "tomli-w>=1.0",
    "psutil>=6.0",
)
_LIBRARY = "auto-gptq==0.7.1"
#: Bytes that all of it takes without CUDA's libraries, with those of the downloads.
_LEAST_FREE = 3 * 10**9
_PROGRESS = re.compile(r"^(?:Collecting|Downloading|Installing|Building|Successfully)\b.*")
_STEPS = ("make the environment", "install setuptools", "install torch", "build auto-gptq", "check")


class Cancelled(Exception):  # noqa: N818  # not an error: somebody wanted to stop
    """`Builder.cancel` ended the work; nothing of it is left."""


class Builder:
    """Builds one environment in `folder`, all or nothing. `cancel` may come from any thread.

    A file beside the folder, locked while it is built, marks what a killed process left.
    """

    def __init__(
        self,
        name: str = AUTO_GPTQ,
        folder: Path | None = None,
        packages: Sequence[str] = PINNED,
        library: str = _LIBRARY,
        least_free: int = _LEAST_FREE,
    ) -> None:
        self.name = check_name(name)
        self.folder = folder or paths.data_dir() / "environments" / name
        self._packages = tuple(packages)
        self._library = library
        self._least_free = least_free
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._cancelled = False

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def build(self, progress: Callable[[str, float], None]) -> EngineEnvironment:
        """Make and check it; `progress` gets what is done and the fraction of the steps.

        Raises EngineError with pip's last words, or Cancelled; the folder is removed then.
        """
        self._make_parent()
        with self._mark():
            return self._build(progress)

    def cancel(self) -> None:
        """End what runs; returns at once."""
        with self._lock:
            self._cancelled = True
            if self._process is not None and self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def _build(self, progress: Callable[[str, float], None]) -> EngineEnvironment:
        environment = EngineEnvironment(self.name, str(self.python))
        pip = [str(self.python), "-I", "-m", "pip", "install", "--progress-bar", "off"]
        commands = (
            [sys.executable, "-I", "-m", "venv", str(self.folder)],
            [*pip, "setuptools", "wheel"],
            [*pip, *self._packages],
            # It is built where no isolated build could find torch, and without a compiler.
            [*pip, "--no-build-isolation", self._library],
        )
        try:
            for step, command in enumerate(commands):
                fraction = step / len(_STEPS)
                progress(_STEPS[step], fraction)
                self._run(command, _STEPS[step], partial(_tell, progress, fraction))
            progress(_STEPS[-1], len(commands) / len(_STEPS))
            check(environment)
            if self._cancelled:
                raise Cancelled
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        progress("ready", 1.0)
        return environment

    @contextlib.contextmanager
    def _mark(self) -> Iterator[None]:
        """Hold the place for this build; what one that was killed left there is deleted."""
        marker = self.folder.with_name(f".{self.folder.name}.building")
        left = marker.exists()
        with marker.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise EngineError(
                    f"The environment {self.name} is being made already.",
                    "Wait until that is done.",
                    str(error),
                ) from error
            try:
                if left:
                    shutil.rmtree(self.folder, ignore_errors=True)
                if self.folder.exists():
                    raise EngineError(
                        f"There is an environment in {self.folder} already.",
                        f"Add it with `playground env add {self.python}`, or delete the folder.",
                    )
                yield
            finally:
                marker.unlink(missing_ok=True)

    def _make_parent(self) -> None:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder.parent).free
        except OSError as error:
            raise EngineError(
                f"The environment cannot be made in {self.folder.parent}: {error.strerror}.",
                f"Make it writable, or name another folder in {paths.HOME_VARIABLE}.",
                str(error),
            ) from error
        if free < self._least_free:
            raise EngineError(
                f"{size_text(free)} are free in {self.folder.parent}, and the environment takes "
                f"{size_text(self._least_free)} at least.",
                "Free some disk space.",
            )

    def _run(self, command: Sequence[str], step: str, tell: Callable[[str], None]) -> None:
        last: deque[str] = deque(maxlen=60)
        with self._lock:
            if self._cancelled:
                raise Cancelled
            self._process = process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**bare(os.environ), "BUILD_CUDA_EXT": "0", "PIP_NO_INPUT": "1"},
                start_new_session=True,
            )
        try:
            with process:
                for line in process.stdout or ():
                    last.append(line.rstrip())
                    if _PROGRESS.match(line.strip()):
                        tell(line.strip()[:200])
        except BaseException:
            self.cancel()
            raise
        if self._cancelled:
            raise Cancelled
        if process.returncode:
            told = [line for line in last if line.lower().startswith("error")] or list(last)[-1:]
            raise EngineError(
                f"The step “{step}” failed: {' '.join(told)[:400] or 'without a word'}",
                "Check the network and the free disk space, and try again.",
                "\n".join(last),
            )


def _tell(progress: Callable[[str, float], None], fraction: float, line: str) -> None:
    progress(line, fraction)


def made_folder(environment: EngineEnvironment) -> Path | None:
    """The folder of an environment that was made here; None where it is somebody else's."""
    folder = Path(environment.python).parents[1]
    return folder if folder.parent == paths.data_dir() / "environments" else None


def remove_folder(environment: EngineEnvironment) -> Path | None:
    """Delete an environment that was made here; None where it is somebody else's folder."""
    folder = made_folder(environment)
    if folder is None:
        return None
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return folder
    except OSError as error:
        raise EngineError(
            f"{folder} could not be deleted: {error.strerror}.", "Delete it by hand.", str(error)
        ) from error
    return folder
