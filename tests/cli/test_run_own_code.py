"""A model's own code on the command line: never without the commit it is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import json_lines, one_sentence, playground
from tests.support.own_code import write_own_code

RUN = ("run", "--prompt", "ab", "--precision", "fp32", "--new-tokens", "2", "--ignore-eos")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HF_MODULES_CACHE": str(tmp_path / "modules")}


def test_only_the_commit_that_was_looked_at_runs(tmp_path: Path, env: dict[str, str]) -> None:
    trace = tmp_path / "trace"
    folder = write_own_code(tmp_path / "own model", trace)
    model = ("--model", str(folder))
    refused = playground(*RUN, *model, env=env)
    assert refused.returncode == 1
    sentence = one_sentence(refused)
    assert "nobody agreed yet" in sentence
    commit = sentence.rpartition("--trust-remote-code ")[2].rstrip("`.")
    assert commit.startswith("sha256:")
    wrong = playground(*RUN, *model, "--trust-remote-code", "sha256:0123", env=env)
    assert wrong.returncode == 1
    assert f"is of commit {commit}, not of sha256:0123" in one_sentence(wrong)
    assert not trace.exists()
    ran = playground(*RUN, *model, "--trust-remote-code", commit, "--json", env=env)
    assert ran.returncode == 0, ran.stderr
    assert trace.exists()
    assert len(json_lines(ran.stdout)[-1]["token_ids"]) == 2
    code = folder / "own.py"
    code.write_text(code.read_text() + "\n# changed\n")
    changed = playground(*RUN, *model, "--trust-remote-code", commit, env=env)
    assert changed.returncode == 1
    assert f"not of {commit}" in one_sentence(changed)


def test_code_of_another_repository_never_runs(tmp_path: Path, env: dict[str, str]) -> None:
    folder = write_own_code(tmp_path / "own", tmp_path / "trace", place="someone/else")
    refused = playground(
        *RUN, "--model", str(folder), "--trust-remote-code", "sha256:0123", env=env
    )
    assert refused.returncode == 1
    assert "another repository, someone/else" in one_sentence(refused)


def test_pickled_weights_are_refused_whoever_agreed(tmp_path: Path, env: dict[str, str]) -> None:
    folder = write_own_code(tmp_path / "own", tmp_path / "trace")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused = playground(
        *RUN, "--model", str(folder), "--trust-remote-code", "sha256:0123", env=env
    )
    assert refused.returncode == 1
    assert "pickled weights only" in one_sentence(refused)
    assert not (tmp_path / "trace").exists()
