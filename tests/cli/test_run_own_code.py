"""A model's own code on the command line: never without the commit it is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.client.session import Session
from playground.core.errors import EngineError, RemoteCodeError
from playground.core.model.remote_code import read_code
from playground.core.quantizing.request import QuantizeRequest
from tests.cli.commands import json_lines, one_sentence, playground
from tests.support.libraries import needs_gptqmodel
from tests.support.own_code import write_own_code

RUN = ("run", "--prompt", "ab", "--precision", "fp32", "--new-tokens", "2", "--ignore-eos")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HF_MODULES_CACHE": str(tmp_path / "modules")}


def commit_in(sentence: str) -> str:
    """Return the commit that a refusal names."""
    return sentence.rpartition("--trust-remote-code ")[2].rstrip("`.")


def test_only_the_commit_that_was_looked_at_runs(tmp_path: Path, env: dict[str, str]) -> None:
    trace = tmp_path / "trace"
    folder = write_own_code(tmp_path / "own model", trace)
    model = ("--model", str(folder))
    refused = playground(*RUN, *model, env=env)
    assert refused.returncode == 1
    sentence = one_sentence(refused)
    assert "you have not agreed" in sentence
    commit = commit_in(sentence)
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


@pytest.mark.parametrize("to", ["int8", pytest.param("gptq", marks=needs_gptqmodel)])
def test_a_copy_is_made_with_the_code_that_was_looked_at(
    to: str, tmp_path: Path, env: dict[str, str]
) -> None:
    trace, output = tmp_path / "trace", tmp_path / "copy"
    folder = write_own_code(tmp_path / "own model", trace)
    quantize = ("quantize", "--model", str(folder), "--to", to, "--output", str(output))
    quantize += ("--group-size", "32", "--samples", "4", "--length", "32", "--threads", "1")
    refused = playground(*quantize, env=env)
    assert refused.returncode == 1
    sentence = one_sentence(refused)
    assert "you have not agreed" in sentence
    trust = ("--trust-remote-code", commit_in(sentence))
    wrong = playground(*quantize, "--trust-remote-code", "sha256:0123", env=env)
    assert wrong.returncode == 1
    assert f"is of commit {trust[1]}, not of sha256:0123" in one_sentence(wrong)
    assert not trace.exists()
    assert not output.exists()
    made = playground(*quantize, *trust, env=env)
    assert made.returncode == 0, made.stderr
    assert trace.exists()
    # The copy brings the code along, and nobody's word for it.
    assert (output / "own.py").read_bytes() == (folder / "own.py").read_bytes()
    run = ("run", "--model", str(output), "--precision", to, "--prompt", "ab", "--new-tokens", "2")
    asked = playground(*run, env=env)
    assert asked.returncode == 1
    trust = ("--trust-remote-code", commit_in(one_sentence(asked)))
    ran = playground(*run, "--ignore-eos", *trust, "--json", env=env)
    assert ran.returncode == 0, ran.stderr
    assert json_lines(ran.stdout)[-1]["verified_precision"] == to


def test_code_that_changed_since_is_not_run_by_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = write_own_code(tmp_path / "own", tmp_path / "trace")
    seen = read_code(folder).digest
    with (folder / "own.py").open("a") as file:
        file.write("# changed\n")
    request = QuantizeRequest(
        name="own",
        folder=str(folder),
        commit="1234",
        output=str(tmp_path / "copy"),
        trust_remote_code="1234",
        code=seen,
    )
    with Session() as session:
        for ask in (session.estimate, session.quantize):
            with pytest.raises(RemoteCodeError, match="has changed since"):
                ask(request)
    assert not (tmp_path / "trace").exists()


def test_code_that_was_not_shown_is_not_run_by_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    elsewhere = write_own_code(tmp_path / "elsewhere", tmp_path / "trace")
    folder = write_own_code(tmp_path / "own", tmp_path / "trace")
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"own.Own', f'"{elsewhere}/own.Own'))
    request = QuantizeRequest(
        name="own",
        folder=str(folder),
        commit="1234",
        output=str(tmp_path / "copy"),
        trust_remote_code="1234",
        code=read_code(folder).digest,
    )
    with Session() as session, pytest.raises(EngineError, match="no class in a Python file"):
        session.estimate(request)
    assert not (tmp_path / "trace").exists()


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
    assert "only pickled weights" in one_sentence(refused)
    assert not (tmp_path / "trace").exists()
