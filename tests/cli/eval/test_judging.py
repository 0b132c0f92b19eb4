"""`playground eval grade`, `verdict`, `prompts` and `import`: outputs and tables from anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import json_lines, one_sentence, playground

OUTPUTS = [
    {"output": "The answer is 18.", "target": "18"},
    {"output": "So she makes $18. The answer is $18.", "target": "18"},
    {"output": "I do not know.", "target": "18"},
]


def written(folder: Path, text: str, name: str = "x.jsonl") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_outputs_are_graded_in_three_columns(tmp_path: Path) -> None:
    lines = "\n".join(map(json.dumps, OUTPUTS))
    done = playground("eval", "grade", written(tmp_path, lines), "--as", "gsm8k", "--json")
    assert done.returncode == 0, done.stderr
    graded = [one for one in json_lines(done.stdout) if one["event"] == "graded"]
    assert [one["normalised"]["score"] for one in graded] == [1.0, 1.0, 0.0]
    assert [one["strict"]["score"] for one in graded] == [1.0, 0.0, 0.0]
    assert graded[2]["normalised"]["value"] is None
    assert graded[2]["flexible"] == {"value": "[invalid]", "score": 0.0}
    piped = playground("eval", "grade", "-", "--as", "number", stdin=lines.encode())
    assert "2 of 3 right" in piped.stderr.decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"output": "x"}', "line 1: it has no target"),
        ('\n{"target": "x"}', "line 2: it has no output"),
        ("{", "line 1: it is not valid JSON"),
        ("", "it is empty"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, words: str) -> None:
    done = playground("eval", "grade", written(tmp_path, text), "--as", "exact")
    assert words in one_sentence(done)


def test_a_table_of_outcomes_gets_its_verdict(tmp_path: Path) -> None:
    rows = ["1,1"] * 60 + ["1,0"] * 22 + ["0,1"] * 2 + ["0,0"] * 16
    table = "id,bf16,int8\n" + "\n".join(f"q{n},{row}" for n, row in enumerate(rows))
    done = playground("eval", "verdict", written(tmp_path, table, "t.csv"), "--json")
    assert done.returncode == 0, done.stderr
    found = json_lines(done.stdout)[-1]
    assert [found[key] for key in "abcd"] == [60, 2, 22, 16]
    assert (found["contestant"], found["reference"]) == ("int8", "bf16")
    assert found["sentence"] == "Loses 11.6 to 29.5 points (95 %)"
    assert found["mcnemar_p"] == pytest.approx(3.6e-05, abs=1e-6)
    shown = playground("eval", "verdict", str(tmp_path / "t.csv")).stdout.decode()
    assert "22 ↘ 2 ↗ of 100 cases in both" in shown


def test_groups_and_several_contestants(tmp_path: Path) -> None:
    rows = "\n".join(f"g{n % 4},{n % 2},{int(n % 3 > 0)},{n % 2}" for n in range(40))
    table = f"topic,a,b,c\n{rows}\n"
    done = playground(
        "eval", "verdict", written(tmp_path, table, "t.csv"), "--group", "topic", "--json"
    )
    first, second = [one for one in json_lines(done.stdout) if one["event"] == "verdict"]
    assert (first["groups"], first["level"]) == (4, 0.975)
    assert first["holm_p"] >= first["mcnemar_p"]
    assert second["clustered_se"] == 0.0


@pytest.mark.parametrize(
    ("table", "more", "words"),
    [
        ("a,b\n1,1\n1,0\n0,maybe\n", [], "line 4: 'maybe' in the column 'b' is no outcome"),
        ("a,b\nx,y\n", [], "it has 0 columns of outcomes"),
        ("a,b\n1,0\n", ["--reference", "c"], "There is no contestant 'c'"),
        ("a,b\n1,0\n", ["--group", "c"], "it has no column 'c'"),
    ],
)
def test_a_wrong_table_is_a_sentence(
    tmp_path: Path, table: str, more: list[str], words: str
) -> None:
    done = playground("eval", "verdict", written(tmp_path, table, "t.csv"), *more)
    assert words in one_sentence(done)


def test_prompts_are_printed(tmp_path: Path) -> None:
    done = playground("eval", "prompts", "--suite", "starter", "--limit", "2", "--json")
    prompts = [one for one in json_lines(done.stdout) if one["event"] == "prompt"]
    assert len(prompts) == 2
    assert prompts[0]["prompt"].startswith("Answer the last question.")
    assert prompts[0]["target"] == ["66"]


def test_cases_of_another_tool_become_a_suite(tmp_path: Path) -> None:
    tests = written(tmp_path, "question,__expected\nCapital?,Paris\n", "tests.csv")
    target = tmp_path / "suite.csv"
    done = playground("eval", "import", tests, "-o", str(target))
    assert done.returncode == 0, done.stderr
    assert target.read_text("utf-8") == "id,input,target,grader\n1,Capital?,Paris,exact\n"
    refused = playground("eval", "import", tests)
    assert "There is already a file" in one_sentence(refused)
