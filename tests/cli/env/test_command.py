"""`playground env`: other Pythons, named, checked, run in, made and removed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from playground.client.environment_builder import Builder, Cancelled, remove_folder
from playground.core.environments import EngineEnvironment
from playground.core.errors import EngineError, OptionsError
from tests.cli.commands import json_lines, one_sentence, playground
from tests.support.home import make_home
from tests.support.other_python import make_other_python

#: An interpreter with auto-gptq, such as `playground env create auto-gptq` makes.
FOREIGN = os.environ.get("PLAYGROUND_AUTO_GPTQ_PYTHON", "")


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of its own folder that finds the packages of this one."""
    return make_other_python(tmp_path_factory.mktemp("environments") / "second")


def test_a_lane_of_another_python_is_stamped_with_its_name(
    other_python: Path, tmp_path: Path
) -> None:
    env = {"PLAYGROUND_HOME": str(make_home(tmp_path / "home"))}
    added = playground("env", "add", str(other_python), "--json", env=env)
    assert added.returncode == 0, added.stderr
    told = json_lines(added.stdout)[-1]
    assert told["environment"] == "second"
    assert told["precisions"]["bf16"] == ""
    listed = playground("env", "list", env=env)
    assert str(other_python) in listed.stdout.decode()
    again = playground("env", "add", str(other_python), env=env)
    assert again.returncode == 1
    assert "already" in one_sentence(again)
    run = playground(
        *("run", "--prompt", "Once", "--new-tokens", "3", "--threads", "1"),
        *("--environment", "second", "--json"),
        env=env,
    )
    assert run.returncode == 0, run.stderr
    assert json_lines(run.stdout)[-1]["stamp"]["environment"] == "second"
    removed = playground("env", "remove", "second", env=env)
    assert removed.returncode == 0, removed.stderr
    assert other_python.exists()
    gone = playground("run", "--prompt", "x", "--environment", "second", env=env)
    assert gone.returncode == 1
    assert "no environment 'second'" in one_sentence(gone)


@pytest.mark.skipif(not FOREIGN, reason="PLAYGROUND_AUTO_GPTQ_PYTHON names no interpreter")
def test_auto_gptq_itself_gives_the_same_greedy_tokens(tmp_path: Path) -> None:
    env = {"PLAYGROUND_HOME": str(tmp_path)}
    added = playground("env", "add", FOREIGN, "--name", "auto-gptq", "--json", env=env)
    assert added.returncode == 0, added.stderr
    assert "transformers 5" in json_lines(added.stdout)[-1]["precisions"]["int8"]
    run = ("run", "--precision", "gptq", "--prompt", "Alice was", "--new-tokens", "12", "--json")
    there = playground(*run, "--environment", "auto-gptq", env=env)
    assert there.returncode == 0, there.stderr
    here = playground(*run, env=env)
    told = json_lines(there.stdout)
    answers = [told[-1], json_lines(here.stdout)[-1]]
    assert answers[0]["token_ids"] == answers[1]["token_ids"]
    assert answers[0]["stamp"]["kernel"].startswith("auto-gptq")
    assert answers[0]["stamp"]["environment"] == "auto-gptq"
    assert answers[0]["verified_precision"] == "gptq"
    assert any(line["event"] == "tokens" for line in told)


@pytest.mark.parametrize(
    ("python", "words"),
    [("/nowhere/python", "There is no Python"), ("/bin/ls", "does not run as a Python")],
)
def test_what_is_no_python_is_not_added(python: str, words: str, tmp_path: Path) -> None:
    done = playground(
        "env", "add", python, "--name", "other", env={"PLAYGROUND_HOME": str(tmp_path)}
    )
    assert done.returncode == 1
    assert words in one_sentence(done)


def test_a_python_without_the_libraries_says_which(tmp_path: Path) -> None:
    python = make_other_python(tmp_path / "bare", with_packages=False)
    env = {"PLAYGROUND_HOME": str(tmp_path)}
    done = playground("env", "add", str(python), env=env)
    assert done.returncode == 1
    assert "lacks torch, transformers" in one_sentence(done)


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Builder]:
    """Builders whose pip knows one empty folder of packages."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    return lambda **how: Builder("trial", least_free=0) if not how else Builder("trial", **how)


def test_a_build_that_fails_leaves_nothing_and_says_what_pip_said(
    builder: Callable[..., Builder],
) -> None:
    made = builder()
    steps: list[str] = []
    with pytest.raises(EngineError, match="setuptools"):
        made.build(lambda text, _: steps.append(text))
    assert steps[:2] == ["make the environment", "install setuptools"]
    assert not made.folder.exists()


def test_a_cancelled_build_leaves_nothing(builder: Callable[..., Builder]) -> None:
    made = builder()
    with pytest.raises(Cancelled):
        made.build(lambda text, _: made.cancel())
    assert not made.folder.exists()


def test_a_build_needs_room_and_a_free_place(builder: Callable[..., Builder]) -> None:
    with pytest.raises(EngineError, match="are free"):
        builder(least_free=10**18).build(lambda *_: None)
    made = builder()
    made.folder.mkdir(parents=True)
    with pytest.raises(EngineError, match="already"):
        made.build(lambda *_: None)
    python = str(made.folder / "bin" / "python")
    assert remove_folder(EngineEnvironment("trial", python)) == made.folder
    assert not made.folder.exists()


def test_what_a_killed_build_left_is_made_anew_and_one_that_runs_is_left_alone(
    builder: Callable[..., Builder],
) -> None:
    made = builder()
    made.folder.mkdir(parents=True)
    (made.folder / "left").touch()
    marker = made.folder.with_name(".trial.building")
    with marker.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(EngineError, match="already being created"):
            made.build(lambda *_: None)
    assert (made.folder / "left").exists()
    with pytest.raises(EngineError, match="setuptools"):
        made.build(lambda *_: None)
    assert not marker.exists()
    assert not made.folder.exists()
    with pytest.raises(OptionsError):
        Builder("../x")
