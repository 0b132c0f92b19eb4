"""`playground quantize`, with a real engine, to its end, told to stop, and killed."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.cli.commands import (
    command,
    environment,
    json_lines,
    one_sentence,
    playground,
    playground_process,
)
from tests.client.processes import is_gone
from tests.support.home import make_home
from tests.support.libraries import needs_gptqmodel
from tests.support.tiny_model import tiny_model_files, write_files


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_files(tmp_path / "tiny", tiny_model_files(hidden=64, layers=2))


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"PLAYGROUND_HOME": str(make_home(tmp_path / "home"))}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "home" / "data" / "models"


@needs_gptqmodel
def test_a_gptq_version_in_the_library(model: Path, home: dict[str, str], library: Path) -> None:
    options = ("--group-size", "32", "--samples", "4", "--length", "64", "--threads", "1")
    done = playground_process("quantize", "--model", str(model), *options, "--json", env=home)
    assert done.returncode == 0, done.stderr
    told = json_lines(done.stdout)
    assert told[-1]["event"] == "finished"
    assert told[-1]["folder"] == str(library / "tiny-gptq-4bit-32g")
    names = [line["event"] for line in told]
    assert names.index("estimate") < names.index("layer") < names.index("finished")
    assert (library / "tiny-gptq-4bit-32g" / "README.md").is_file()
    again = playground("quantize", "--model", str(model), *options, env=home)
    assert again.returncode == 1
    assert "already a folder tiny-gptq-4bit-32g" in one_sentence(again)


def test_nf4_where_it_was_asked_for(model: Path, home: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "elsewhere" / "copy"
    done = playground(
        *("quantize", "--model", str(model), "--to", "nf4", "--output", str(output)), env=home
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines() == [str(output)]
    assert "playground run --model" in done.stderr.decode()
    listed = playground("models", "list", "--folder", str(output.parent), "--json", env=home)
    assert any(str(output) in json.dumps(line) for line in json_lines(listed.stdout))


def test_an_estimate_alone_writes_nothing(model: Path, home: dict[str, str], library: Path) -> None:
    done = playground(
        *("quantize", "--model", str(model), "--to", "int8", "--estimate", "--json"), env=home
    )
    assert done.returncode == 0, done.stderr
    estimate = next(e for e in json_lines(done.stdout) if e["event"] == "estimate")
    assert estimate["memory_bytes"] > estimate["disk_bytes"] > 0
    assert not library.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--calibration", "/nowhere.txt"), "cannot be read"),
        (("--samples", "0"), "number of texts is 0"),
    ],
)
def test_what_is_wrong_is_told_at_once(
    model: Path, home: dict[str, str], arguments: tuple[str, ...], words: str
) -> None:
    done = playground("quantize", "--model", str(model), *arguments, env=home)
    assert done.returncode == 1
    assert words in one_sentence(done)


@needs_gptqmodel
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_a_layer_it_leaves_no_engine_and_no_folder(
    how: signal.Signals, model: Path, home: dict[str, str], library: Path
) -> None:
    options = ("--group-size", "32", "--samples", "256", "--length", "256", "--threads", "1")
    process = subprocess.Popen(
        command("quantize", "--model", str(model), *options, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(home),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "layer":
            break
    engines = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    assert engines
    process.send_signal(how)
    _, stderr = process.communicate()
    assert process.returncode == (130 if how is signal.SIGINT else -how), stderr
    assert all(is_gone(pid) for pid in engines)
    assert not library.exists() or list(library.iterdir()) == []
