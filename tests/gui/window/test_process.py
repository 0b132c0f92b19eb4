"""The window as a process: killed, ended by a signal, run for a picture."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from pytestqt.qtbot import QtBot

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT = 240


def environment() -> dict[str, str]:
    return {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)}


def playground(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "playground", *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("mode", "count"), [((), 3), (("idle",), 2)])
def test_no_engine_survives_a_killed_window(
    mode: tuple[str, ...], count: int, tmp_path: Path
) -> None:
    script = Path(__file__).with_name("window_process.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "settings.toml"), *mode],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as window:
        assert window.stdout is not None
        engines = [psutil.Process(int(pid)) for pid in window.stdout.readline().split()]
        assert len(engines) == count
        window.kill()
    _, alive = psutil.wait_procs(engines, timeout=60)
    assert not alive


def test_a_terminated_window_ends_its_engine_and_exits_well(qtbot: QtBot) -> None:
    with playground() as window:
        process = psutil.Process(window.pid)
        # The first lane's engine starts ahead.
        qtbot.waitUntil(lambda: bool(process.children()), timeout=TIMEOUT * 1000)
        engines = process.children()
        window.send_signal(signal.SIGTERM)
        _, errors = window.communicate(timeout=TIMEOUT)
    assert window.returncode == 0, errors
    _, alive = psutil.wait_procs(engines, timeout=60)
    assert not alive


def test_autorun_runs_the_bundled_model_and_saves_the_picture(tmp_path: Path) -> None:
    picture = tmp_path / "shots" / "window.png"
    with playground(
        "--autorun", "--prompt", "Alice was", "--precisions", "bf16", "--new-tokens", "8",
        "--screenshot", str(picture), "--theme", "light",
    ) as window:  # fmt: skip
        _, errors = window.communicate(timeout=TIMEOUT)
    assert window.returncode == 0, errors
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--model", "/no/such/folder", "--prompt", "Alice"), "There is no folder"),
        (("--prompt", ""), "The prompt is empty"),
    ],
)
def test_a_failed_autorun_says_why_and_exits_with_one(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    picture = tmp_path / "window.png"
    with playground(
        "--autorun", *arguments, "--precisions", "bf16", "--screenshot", str(picture)
    ) as window:
        _, errors = window.communicate(timeout=TIMEOUT)
    assert window.returncode == 1
    assert sentence in errors
    assert "Traceback" not in errors
    assert picture.exists()
