"""Runs command lines in this process, or in a process of their own for tests of the process."""

from __future__ import annotations

import importlib
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from playground.cli.main import guarded, main
from playground.client.engine_process import child_environment

_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of an offline shell without a screen."""
    env = child_environment()
    for name in _SCREENS:
        env.pop(name, None)
    env.update(changes or {})
    return env


def command(*arguments: str, module: str = "playground") -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def playground(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command line to its end, in this process."""
    return _here(lambda: main(list(arguments)), env, stdin)


def benchmark(name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a developers' benchmark to its end, in this process."""
    module = importlib.import_module(f"tests.benchmarks.{name}")
    bench = getattr(module, f"bench_{name}")
    return _here(lambda: guarded(bench, module.arguments().parse_args(arguments)))


def _here(
    run: Callable[[], int], env: Mapping[str, str] | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Call what returns an exit code or raises SystemExit, as if it had a process of its own."""
    streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8") for name in ("stdout", "stderr")}
    root = logging.getLogger()
    level, handlers = root.level, set(root.handlers)
    with pytest.MonkeyPatch.context() as patch:
        for name in _SCREENS:
            patch.delenv(name, raising=False)
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        try:
            code: object = run()
        except SystemExit as end:
            code = end.code
        finally:
            root.setLevel(level)
            for handler in set(root.handlers) - handlers:
                root.removeHandler(handler)
                handler.close()
    assert isinstance(code, int)
    out, err = (stream.detach().getvalue() for stream in streams.values())
    return subprocess.CompletedProcess((), code, out, err)


def playground_process(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    module: str = "playground",
) -> subprocess.CompletedProcess[bytes]:
    """Run a command line to its end, in a process of its own."""
    return subprocess.run(
        command(*arguments, module=module),
        input=stdin,
        capture_output=True,
        env=environment(env),
        check=False,
    )


def json_lines(output: bytes) -> list[dict[str, Any]]:
    """Return the JSON object of every line of stdout."""
    lines = [json.loads(line) for line in output.decode().splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    return lines


def one_sentence(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the one error line on stderr of a command that failed."""
    lines = done.stderr.decode().splitlines()
    told = [line for line in lines if line.startswith("playground: ")]
    assert len(told) == 1, lines
    assert "Traceback" not in done.stderr.decode()
    return told[0].removeprefix("playground: ")
