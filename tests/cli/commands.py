"""Runs the real command line in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from playground.client.engine_process import child_environment


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """A shell without a screen, and offline: no test depends on the network."""
    env = child_environment()
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        env.pop(name, None)
    env.update(changes or {})
    return env


def command(*arguments: str, module: str = "playground") -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def playground(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    module: str = "playground",
) -> subprocess.CompletedProcess[bytes]:
    """Run a command line to its end."""
    return subprocess.run(
        command(*arguments, module=module),
        input=stdin,
        capture_output=True,
        env=environment(env),
        timeout=240,
        check=False,
    )


def json_lines(output: bytes) -> list[dict[str, Any]]:
    """Every line of stdout, each a JSON object."""
    lines = [json.loads(line) for line in output.decode().splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    return lines


def one_sentence(done: subprocess.CompletedProcess[bytes]) -> str:
    """The only line of stderr that is not status, of a command that failed."""
    lines = done.stderr.decode().splitlines()
    told = [line for line in lines if line.startswith("playground: ")]
    assert len(told) == 1, lines
    assert "Traceback" not in done.stderr.decode()
    return told[0].removeprefix("playground: ")


def benchmark(
    name: str, *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a benchmark to its end."""
    return playground(*arguments, env=env, module=f"tests.benchmarks.{name}")
