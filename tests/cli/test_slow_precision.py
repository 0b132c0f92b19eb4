"""A precision that is slow on this processor says so before its load."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import pytest

from playground.cli.console import Console
from playground.cli.lanes import Lane
from playground.cli.requests import local_model, warn_if_slow
from playground.client.engine_process import EngineProcess
from playground.client.session import Session
from playground.core.facts import DeviceFacts, EngineFacts, ModelSpec
from playground.core.precision import Precision
from tests.cli.commands import json_lines, playground
from tests.support.scripted_engine import scripted_command

OLD, NEW = "avx2 avx512f avx512_vnni", "avx2 avx512f avx512_bf16"


@pytest.fixture
def old_processor(tmp_path: Path) -> dict[str, str]:
    """The shell's changes with an environment "old", whose engine reports an old processor."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    engine = shlex.join(scripted_command("--capability", OLD))
    python.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *"-m playground.engine") exec {engine} ;; esac\n'
        f'exec {shlex.quote(sys.executable)} "$@"\n',
        "utf-8",
    )
    python.chmod(0o755)
    env = {"PLAYGROUND_HOME": str(tmp_path / "home")}
    added = playground("env", "add", str(python), "--name", "old", env=env)
    assert added.returncode == 0, added.stderr
    return env


def test_run_says_so_on_stderr_and_keeps_json_whole(old_processor: dict[str, str]) -> None:
    run = ("run", "--prompt", "Once", "--new-tokens", "3", "--environment", "old")
    people = playground(*run, "--precision", "nf4", env=old_processor)
    assert people.returncode == 0, people.stderr
    told = people.stderr.decode()
    assert told.index("slow on this processor") < told.index("reading weights")
    assert b"slow" not in people.stdout
    machines = playground(*run, "--precision", "nf4", "--json", env=old_processor)
    assert machines.returncode == 0, machines.stderr
    assert machines.stderr.startswith(b"playground: NF4 4-bit (bitsandbytes): ")
    assert machines.stderr.count(b"\n") == 1
    assert json_lines(machines.stdout)[-1]["event"] == "finished"
    other = playground(*run, "--precision", "bf16", "--json", env=old_processor)
    assert other.returncode == 0
    assert other.stderr == b""


@pytest.mark.parametrize(("capability", "slow"), [(OLD, True), (NEW, False)])
def test_a_lane_of_bench_says_so(
    capability: str, slow: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(json=True)
    args = argparse.Namespace(device="", threads=0, trust_remote_code="")
    lane = Lane(Precision.NF4, args, console)
    lane.session = Session(engine=EngineProcess(scripted_command("--capability", capability)))
    lane.resolved = local_model(ModelSpec(), Precision.NF4, console)
    with lane.session:
        lane.load()
    assert lane.failure is None
    out, err = capsys.readouterr()
    assert ("slow on this processor" in err) is slow
    assert [line["event"] for line in json_lines(out.encode())] == ["loaded"]


def test_slow_prompts_are_said_to_people_alone(capsys: pytest.CaptureFixture[str]) -> None:
    cpu = DeviceFacts(id="cpu", name="old", total_bytes=1, free_bytes=1, capability="avx2")
    facts = EngineFacts(python="3", devices=(cpu,), versions={}, probes={})
    warn_if_slow(Precision.BF16, "cpu", facts, Console(json=False))
    assert "fp32" in capsys.readouterr().err
    warn_if_slow(Precision.BF16, "cpu", facts, Console(json=True))
    warn_if_slow(Precision.FP32, "cpu", facts, Console(json=False))
    assert capsys.readouterr().err == ""
