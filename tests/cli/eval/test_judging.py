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


def test_what_a_grader_needs_stands_in_the_line(tmp_path: Path) -> None:
    lines = [
        {"output": '{"a": 1}', "schema": {"required": ["a"]}},
        {"output": '{"a": 1}', "target": {"a": 1.0}},
        {"output": "{}", "target": "no JSON"},
    ]
    file = written(tmp_path, "\n".join(map(json.dumps, lines)))
    done = playground("eval", "grade", file, "--as", "json", "--json")
    assert done.returncode == 1
    graded = json_lines(done.stdout)
    assert [one["normalised"]["score"] for one in graded] == [1.0, 1.0, None]
    assert (graded[2]["state"], graded[2]["line"]) == ("error", 3)
    assert "1 of 3 lines could not be graded" in done.stderr.decode()
    choices = json.dumps({"output": "Calm.", "target": "Calm", "choices": ["Angry", "Calm"]})
    cut = json.dumps({"output": "3 and 4", "target": 4, "stop_reason": "length"})
    file = written(tmp_path, choices)
    shown = playground("eval", "grade", file, "--as", "letter").stdout.decode()
    assert shown.splitlines()[-1].split() == ["1", "right", "B", "1"]
    shown = playground("eval", "grade", written(tmp_path, cut), "--as", "number").stdout.decode()
    assert "hit the limit" in shown


def test_f1_has_its_mean(tmp_path: Path) -> None:
    file = written(tmp_path, '{"output": "the red fox", "target": "red wolf"}')
    done = playground("eval", "grade", file, "--as", "f1", "--option", "threshold=0.6", "--json")
    assert json_lines(done.stdout)[0]["flexible"] == {"value": "red fox", "score": 0.5}
    assert json_lines(done.stdout)[0]["strict"] == {"value": "red fox", "score": 0.0}
    done = playground("eval", "grade", file, "--as", "f1", "--option", "treshold=0.6")
    assert "no option 'treshold'. It takes threshold." in one_sentence(done)
    assert "mean F1: 0.500" in playground("eval", "grade", file, "--as", "f1").stderr.decode()


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
    assert first["few_groups"]
    assert first["clustered"][0] < first["difference"] < first["clustered"][1]


@pytest.mark.parametrize(
    ("table", "encoding"),
    [
        ('id;"Llama 3 (int8)";"Llama 3 (BF16)"\r\n0;1;1\r\n1;0;1,0\r\n2;;1\r\n', "utf-16"),
        ("\tLlama 3 (int8)\tLlama 3 (BF16)\n0\tTrue\tTRUE\n1\tfalse\t1.0\n2\tNA\t1", "utf-8-sig"),
        ("sep=,\nquestion,Llama 3 (int8),Llama 3 (BF16)\n"
         '"What, ""now""?\n",1,1\nx,0,1\ny,,1\n', "utf-8"),
    ],
)  # fmt: skip
def test_tables_from_anywhere(tmp_path: Path, table: str, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes(table.encode(encoding))
    done = playground("eval", "verdict", str(tmp_path / "t.csv"), "--json")
    assert done.returncode == 0, done.stderr
    reference, lane = json_lines(done.stdout)
    assert reference["contestant"] == "Llama 3 (BF16)"
    assert [lane[key] for key in "abcd"] == [1, 0, 1, 0]


def test_repeats_are_no_cases_of_their_own(tmp_path: Path) -> None:
    file = written(tmp_path, "id,a,b\nq1,1,0\nq1,1,1\nq2,0,0\n", "t.csv")
    refused = one_sentence(playground("eval", "verdict", file))
    assert "line 3: the case 'q1' stands in line 2 too" in refused
    done = playground("eval", "verdict", file, "--group", "id", "--json")
    assert json_lines(done.stdout)[-1]["groups"] == 2


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
