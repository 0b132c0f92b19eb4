"""How an engine's process starts and ends."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from playground.client.engine_process import child_environment, default_command
from playground.core.facts import LoadRequest
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import (
    Activity,
    Event,
    Failed,
    Generate,
    Hello,
    Load,
    Loaded,
    Progress,
    Quit,
    Ready,
    Tokens,
    encode,
    event_decoder,
)
from tests.client.processes import is_gone
from tests.engine.driver import Engine
from tests.engine.weights import read_weights, write_weights
from tests.support.frames import read_messages


class Bare:
    """An engine process with nothing around it."""

    def __init__(self, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            default_command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment(env),
        )
        self.events: Iterator[Event] = read_messages(self.stdout, event_decoder())

    @property
    def stdin(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def write(self, data: bytes) -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        return next(event for event in self.events if wanted(event))

    def end(self) -> tuple[int, str]:
        """Wait for its end; return the exit code and what stderr said."""
        code = self.process.wait(timeout=120)
        assert self.process.stderr is not None
        return code, self.process.stderr.read().decode("utf-8", "replace")


@pytest.fixture
def start_bare() -> Iterator[Callable[..., Bare]]:
    """Start bare engines that end with the test."""
    engines: list[Bare] = []

    def start(env: dict[str, str] | None = None) -> Bare:
        engines.append(Bare(env))
        return engines[-1]

    yield start
    for engine in engines:
        engine.process.kill()
        engine.process.wait()
        for pipe in (engine.process.stdin, engine.process.stdout, engine.process.stderr):
            if pipe is not None and not pipe.closed:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@pytest.fixture
def bare(start_bare: Callable[..., Bare]) -> Bare:
    return start_bare()


def before_others(folder: Path) -> dict[str, str]:
    """The environment in which modules of a folder come before those that are installed."""
    inherited = child_environment().get("PYTHONPATH", "")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{inherited}"}


def at(activity: Activity) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, Progress) and event.activity is activity


def load(folder: Path, precision: Precision = Precision.BF16, *, warm_up: bool = True) -> bytes:
    request = LoadRequest(
        name="test", folder=str(folder), commit="", precision=precision, warm_up=warm_up
    )
    return encode(Load(request))


#: Stands for a library whose import never ends.
ENDLESS = "import threading\nthreading.Event().wait()\n"


def test_hello_comes_before_the_imports(start_bare: Callable[..., Bare], tmp_path: Path) -> None:
    """The end of the input then ends the engine, although it is still importing."""
    (tmp_path / "torch.py").write_text(ENDLESS, "utf-8")
    bare = start_bare(before_others(tmp_path))
    first, second = next(bare.events), next(bare.events)
    assert isinstance(first, Hello)
    assert first.pid == bare.process.pid
    assert second == Progress(Activity.IMPORTING)
    assert "libtorch_cpu" not in Path(f"/proc/{first.pid}/maps").read_text("utf-8")
    bare.stdin.close()
    assert bare.end()[0] == 0


@pytest.mark.parametrize("activity", [Activity.QUANTIZING, Activity.WARMING_UP])
def test_the_end_of_the_input_while_loading(
    bare: Bare, model_folder: Path, activity: Activity
) -> None:
    bare.write(load(model_folder, Precision.INT8))  # may come while it imports
    bare.until(at(activity))
    bare.stdin.close()
    assert bare.end()[0] == 0


def test_quit_while_importing(start_bare: Callable[..., Bare], tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(ENDLESS, "utf-8")
    bare = start_bare(before_others(tmp_path))
    bare.until(at(Activity.IMPORTING))
    bare.write(encode(Quit()))
    assert bare.end()[0] == 0


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"LMP1\xff\xff\xff\xff", b"LMP1\x01\x00\x00\x00\xc0"]
)
def test_input_that_is_no_command(bare: Bare, garbage: bytes) -> None:
    bare.until(lambda event: isinstance(event, Hello))
    bare.write(garbage)
    code, stderr = bare.end()
    assert code == 2
    assert "engine: the input is no command of this protocol" in stderr


def test_the_end_of_the_reader(bare: Bare, tmp_path: Path) -> None:
    bare.until(at(Activity.IMPORTING))
    bare.stdout.close()
    with contextlib.suppress(BrokenPipeError):
        # Makes an engine that has sent all events of its start send another one.
        bare.write(load(tmp_path))
    code, stderr = bare.end()
    assert code == 1
    assert "nobody reads its events" in stderr


def test_the_end_of_the_input_while_generating(bare: Bare, model_folder: Path) -> None:
    bare.write(load(model_folder, warm_up=False))
    bare.until(lambda event: isinstance(event, Loaded))
    options = GenerationOptions(max_new_tokens=1000, ignore_eos=True)
    command = Generate(
        request_id=1, prompt=RawPrompt("Hello"), options=options, sent_at=time.monotonic()
    )
    bare.write(encode(command))
    bare.until(lambda event: isinstance(event, Tokens))
    bare.stdin.close()
    assert bare.end()[0] == 0


def test_libraries_that_print(start: Callable[..., Engine], tmp_path: Path) -> None:
    """What libraries print to stdout during their import goes to stderr."""
    code = "import os\nprint('LMP1 hello', flush=True)\nos.write(1, b'LMP1 raw bytes')\n"
    shadow = tmp_path / "safetensors"
    shadow.mkdir()
    # A library that prints at its import, then gives way to the real one.
    give_way = (
        "import sys, importlib\n"
        f"sys.path.remove({str(tmp_path)!r})\n"
        "del sys.modules['safetensors']\n"
        "importlib.invalidate_caches()\n"
        "sys.modules['safetensors'] = importlib.import_module('safetensors')\n"
    )
    (shadow / "__init__.py").write_text(code + give_way)
    engine = start(before_others(tmp_path))
    assert engine.ready().devices
    assert "LMP1 raw bytes" in engine.process.stderr_tail()


def test_an_environment_without_the_libraries(start: Callable[..., Engine], tmp_path: Path) -> None:
    (tmp_path / "transformers.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'transformers'\", name='transformers')\n"
    )
    engine = start(before_others(tmp_path))
    failed = engine.until(Ready)
    assert isinstance(failed, Failed)
    assert failed.message == "The engine's environment lacks transformers."
    assert "pip install" in failed.remedy
    assert not failed.alive
    assert is_gone(engine.process.pid)


def test_libraries_that_are_missing_or_old(start: Callable[..., Engine], tmp_path: Path) -> None:
    """Metadata of an old version hides the real one, as in an environment never updated."""
    info = tmp_path / "bitsandbytes-0.41.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bitsandbytes\nVersion: 0.41.0\n")
    engine = start(before_others(tmp_path))
    probe = engine.ready().probes["bitsandbytes"]
    assert not probe.ok
    assert probe.detail == "bitsandbytes 0.41.0 is too old, 0.50 is needed."
    assert "pip install" in probe.remedy
    failed = engine.load(tmp_path, Precision.INT8)
    assert isinstance(failed, Failed)


def enlarge(folder: Path, vocabulary: int) -> None:
    """Give a model more embeddings, empty ones of 512 bytes each, in a sparse file."""
    config = json.loads((folder / "config.json").read_text())
    old = config["vocab_size"]
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": vocabulary}))
    weights = folder / "model.safetensors"
    header, data = read_weights(weights)
    tensor = header["model.embed_tokens.weight"]
    width = tensor["shape"][1]
    # The old embeddings' bytes go to another tensor: a file must have no gaps.
    header["unused"] = {
        "dtype": "BF16",
        "shape": [old, width],
        "data_offsets": tensor["data_offsets"],
    }
    end = len(data) + vocabulary * width * 2
    header["model.embed_tokens.weight"] = {
        "dtype": "BF16",
        "shape": [vocabulary, width],
        "data_offsets": [len(data), end],
    }
    write_weights(weights, header, data)
    with weights.open("r+b") as file:
        file.truncate(weights.stat().st_size + vocabulary * width * 2)


def test_memory_that_runs_out_while_loading(
    start: Callable[..., Engine], model_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "large"
    shutil.copytree(model_folder, folder)
    enlarge(folder, vocabulary=1_000_000)
    engine = start()
    engine.ready()
    pid = engine.process.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + 800 * 2**20
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
    # Insisting, so that the machine's own memory does not matter.
    failed = engine.load(folder, Precision.FP32, insist=True)
    assert isinstance(failed, Failed)
    assert "not enough memory" in failed.message, failed
    assert "smaller model" in failed.remedy


def test_a_killed_engine_leaves_no_message_half_read(
    start: Callable[..., Engine], model_folder: Path
) -> None:
    engine = start()
    engine.ready()
    engine.load(model_folder, Precision.BF16, warm_up=False)
    engine.send("Hello", max_new_tokens=1000, ignore_eos=True)
    engine.wait_for_tokens(5)
    os.kill(engine.process.pid, signal.SIGKILL)
    assert all(event is not None for event in engine.events)
    assert "SIGKILL" in engine.process.outcome().text
