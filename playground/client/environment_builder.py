"""Creates the engine environment with auto-gptq: a virtual environment that pip fills."""

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
from pathlib import Path

from playground.client.environments import bare, check
from playground.core.choices import AUTO_GPTQ
from playground.core.environments import EngineEnvironment, check_name
from playground.core.errors import EngineError
from playground.core.format import size_text
from playground.core.system import paths
from playground.core.system.temporary import children

#: Versions that work with auto-gptq 0.7.1, also on a CPU, and what else an engine needs.
_PACKAGES = (
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
#: Bytes of disk that the environment and its downloads take, without CUDA's libraries.
LEAST_FREE = 3 * 10**9
#: The end of the name of the file that marks a build.
_MARK = ".building"
_PROGRESS = re.compile(r"^(?:Collecting|Downloading|Installing|Building|Successfully)\b.*")
OnProgress = Callable[[str, float], None]  # what is being done, and the fraction of the steps


class Cancelled(Exception):  # noqa: N818  # a request of the user, not an error
    """`Builder.cancel` ended the work; nothing of it is left."""


class Builder:
    """Builds one environment, all or nothing. `cancel` may be called from any thread.

    A locked file beside the folder marks a build. Where the file is there and not locked, a
    build was killed, and what it left is deleted.
    """

    def __init__(self, name: str = AUTO_GPTQ, least_free: int = LEAST_FREE) -> None:
        self.name = check_name(name)
        self.folder = _environments() / name
        self._least_free = least_free
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._cancelled = False

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def build(self, progress: OnProgress) -> EngineEnvironment:
        """Create the environment and check that an engine runs in it.

        Raises EngineError with the end of pip's output, or Cancelled; the folder is removed then.
        """
        self._make_parent()
        with self._mark():
            return self._build(progress)

    def cancel(self) -> None:
        """Stop the build; returns at once."""
        with self._lock:
            self._cancelled = True
            if self._process is not None and self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def _build(self, progress: OnProgress) -> EngineEnvironment:
        environment = EngineEnvironment(self.name, str(self.python))
        pip = [str(self.python), "-I", "-m", "pip", "install", "--progress-bar", "off"]
        steps = {
            "make the environment": [sys.executable, "-I", "-m", "venv", str(self.folder)],
            "install setuptools": [*pip, "setuptools", "wheel"],
            "install torch": [*pip, *_PACKAGES],
            # The build imports torch, which an isolated one would not find.
            "build auto-gptq": [*pip, "--no-build-isolation", _LIBRARY],
        }
        try:
            for number, (step, command) in enumerate(steps.items()):
                self._run(step, command, progress, number / (len(steps) + 1))
            progress("check", len(steps) / (len(steps) + 1))
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
        """Mark the folder as this build's; delete what a killed build left there."""
        marker = self.folder.with_name(f".{self.folder.name}{_MARK}")
        left = marker.exists()
        with marker.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise EngineError(
                    f"The environment {self.name} is already being created.",
                    "Wait until that is done.",
                    str(error),
                ) from error
            try:
                if left:
                    shutil.rmtree(self.folder, ignore_errors=True)
                if self.folder.exists():
                    raise EngineError(
                        f"There is already an environment in {self.folder}.",
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
                f"The environment cannot be created in {self.folder.parent}: {error.strerror}.",
                f"Make it writable, or name another folder in {paths.HOME_VARIABLE}.",
                str(error),
            ) from error
        if free < self._least_free:
            raise EngineError(
                f"{size_text(free)} are free in {self.folder.parent}, and the environment takes at "
                f"least {size_text(self._least_free)}.",
                "Free some disk space.",
            )

    def _run(
        self, step: str, command: Sequence[str], progress: OnProgress, fraction: float
    ) -> None:
        """Run the command of one step; pip's own progress is passed on."""
        progress(step, fraction)
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
                # Without its CUDA extension auto-gptq needs no compiler.
                env={**bare(os.environ), "BUILD_CUDA_EXT": "0", "PIP_NO_INPUT": "1"},
                start_new_session=True,
            )
        try:
            with process:
                for line in process.stdout or ():
                    last.append(line.rstrip())
                    if _PROGRESS.match(line.strip()):
                        progress(line.strip()[:200], fraction)
        except BaseException:
            self.cancel()
            raise
        if self._cancelled:
            raise Cancelled
        if process.returncode:
            errors = [line for line in last if line.lower().startswith("error")]
            reason = " ".join(errors or list(last)[-1:])[:400]
            raise EngineError(
                f"The step “{step}” failed: {reason or 'it printed nothing'}",
                "Check the network and the free disk space, and try again.",
                "\n".join(last),
            )


def sweep_builds() -> None:
    """Remove the environments that killed builds have left."""
    for marker in children(_environments()):
        if not marker.name.endswith(_MARK):
            continue
        with contextlib.suppress(OSError), marker.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while it is being built
            name = marker.name.removeprefix(".").removesuffix(_MARK)
            shutil.rmtree(marker.with_name(name), ignore_errors=True)
            marker.unlink()


def created_folder(environment: EngineEnvironment) -> Path | None:
    """Return the folder of an environment that was created here; None for any other."""
    folder = Path(environment.python).parents[1]
    return folder if folder.parent == _environments() else None


def remove_folder(environment: EngineEnvironment) -> Path | None:
    """Delete the folder of an environment that was created here and return it; else None.

    Raises EngineError where it cannot be deleted.
    """
    folder = created_folder(environment)
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


def _environments() -> Path:
    return paths.data_dir() / "environments"
