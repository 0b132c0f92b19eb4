"""`playground doctor` on this machine, and on one whose libraries are broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.cli import doctor
from playground.cli.console import Console
from tests.cli.commands import environment, json_lines, one_sentence, playground, playground_process
from tests.support.home import make_home


def test_findings_as_json(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    done = playground_process("doctor", "--quick", "--json", env={"PLAYGROUND_HOME": str(home)})
    assert done.returncode == 0, done.stderr
    found = {line["event"]: line for line in json_lines(done.stdout)}
    assert {"machine", "precision", "screen", "folders", "finished"} <= set(found)
    assert any(device["id"] == "cpu" for device in found["machine"]["devices"])
    assert found["machine"]["versions"]["torch"]
    assert found["precision"]["works"]
    assert found["precision"]["kernel"]
    assert "no screen" in found["screen"]["reason"]
    assert found["folders"]["folders"]["settings"]["folder"].startswith(str(home))
    assert found["folders"]["folders"]["settings"]["writable"]
    assert found["finished"]["bundled_model_runs"]


def test_an_engine_that_cannot_import_is_told_with_its_remedy(tmp_path: Path) -> None:
    broken = tmp_path / "torch"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('libtorch.so: no such file')\n")
    ours = environment().get("PYTHONPATH", "")
    done = playground("doctor", "--quick", env={"PYTHONPATH": f"{tmp_path}:{ours}"})
    assert done.returncode == 1
    told = one_sentence(done)
    assert told.startswith("The bundled model cannot run here.")
    assert "libtorch.so" in told
    assert "bf16" in done.stdout.decode()


def test_folders_that_take_no_files_are_told_with_their_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "a-file"
    home.touch()
    monkeypatch.setenv("PLAYGROUND_HOME", str(home))
    doctor._print_folders(Console())
    told = capsys.readouterr().out
    assert f"settings: nothing can be written to {home / 'config'}." in told
    assert "name another one in PLAYGROUND_HOME" in told
