"""`playground eval run` on the bundled model: killed, resumed, reported, graded again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import command, environment, json_lines, one_sentence, playground
from tests.support.home import make_home

CASES = "id,input,target,grader\n" + "".join(
    f'c{n},"The old man {word} ",the,contains\n'
    for n, word in enumerate(("saw", "went", "said", "knew", "had", "took", "gave", "left"))
)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"PLAYGROUND_HOME": str(make_home(tmp_path / "home"))}


@pytest.fixture
def suite(tmp_path: Path) -> str:
    path = tmp_path / "cases.csv"
    path.write_text(CASES, encoding="utf-8")
    return str(path)


def test_an_evaluation_from_its_start_to_a_report(
    env: dict[str, str], suite: str, tmp_path: Path
) -> None:
    done = playground(
        "eval", "run", suite, "--precisions", "bf16,fp32", "--new-tokens", "8", "--json", env=env
    )
    assert done.returncode == 0, done.stderr
    lanes = [one for one in json_lines(done.stdout) if one["event"] == "contestant"]
    assert [lane["reference"] for lane in lanes] == [False, True]
    assert {lane["graded"] for lane in lanes} == {8}
    assert lanes[0]["verified"]["precision"] == "bf16"
    assert lanes[0]["kind"] in ("no loss", "loss", "better", "undecided")
    listed = json_lines(playground("eval", "list", "--json", env=env).stdout)
    assert (listed[0]["asked"], listed[0]["planned"]) == (16, 16)
    shown = playground("eval", "show", "1", env=env).stdout.decode()
    assert "cases.csv · 8 of 8 cases" in shown
    page = tmp_path / "report.html"
    assert playground("eval", "report", "1", "--html", str(page), env=env).returncode == 0
    assert "Verdict" in page.read_text("utf-8")
    table = tmp_path / "outcomes.csv"
    assert playground("eval", "export", "1", "-o", str(table), env=env).returncode == 0
    judged = playground("eval", "verdict", str(table), "--json", env=env)
    again = json_lines(judged.stdout)[-1]
    assert [again[key] for key in "abcd"] == [lanes[0][key] for key in "abcd"]
    bundle = tmp_path / "all.zip"
    assert playground("eval", "export", "1", "-o", str(bundle), env=env).returncode == 0
    assert str(tmp_path).encode() not in bundle.read_bytes()
    assert playground("eval", "grade", "1", env=env).returncode == 0
    assert playground("eval", "delete", "1", env=env).returncode == 0
    assert "There is no evaluation 1" in one_sentence(playground("eval", "show", "1", env=env))


def test_a_killed_evaluation_goes_on_where_it_was(env: dict[str, str], suite: str) -> None:
    arguments = ["eval", "run", suite, "--precisions", "bf16", "--new-tokens", "40", "--json"]
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, env=environment(env), start_new_session=True
    )
    assert process.stdout is not None
    answered = 0
    with process, process.stdout:
        for line in process.stdout:
            answered += json.loads(line)["event"] == "answered"
            if answered == 3:
                os.killpg(process.pid, signal.SIGKILL)
                break
    listed = json_lines(playground("eval", "list", "--json", env=env).stdout)[0]
    assert listed["state"] == "interrupted"
    assert 3 <= listed["asked"] < 8
    done = playground("eval", "run", "--resume", "1", "--json", env=env)
    assert done.returncode == 0, done.stderr
    events = json_lines(done.stdout)
    assert sum(one["event"] == "answered" for one in events) == 8 - listed["asked"]
    assert "has ended" in one_sentence(playground("eval", "run", "--resume", "1", env=env))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "No suite was named"),
        (["run", "nothing.csv"], "there is no such file or suite"),
        (["run", "starter", "--reference", "fp32"], "is not among the precisions"),
        (["run", "--resume", "9"], "There is no evaluation 9"),
        (["report", "9", "--html", "x.html"], "There is no evaluation 9"),
        (["grade", "x.jsonl"], "No grader was named"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    env: dict[str, str], arguments: list[str], words: str
) -> None:
    assert words in one_sentence(playground("eval", *arguments, env=env))
