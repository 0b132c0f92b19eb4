"""Cases of other tools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from playground.core.errors import PlaygroundError
from playground.evaluation.case import GraderKind, Suite
from playground.evaluation.suites import harness
from playground.evaluation.suites.imports import import_suite
from playground.evaluation.suites.kinds import ImportKind
from playground.evaluation.suites.prompts import prompt_of


def imported(folder: Path, name: str, text: str, kind: ImportKind | None = None) -> Suite:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return import_suite(path, kind)


def test_promptfoo(tmp_path: Path) -> None:
    text = (
        "question,tone,__expected,__expected2\n"
        "Capital of France?,calm,icontains: Paris,\n"
        'Colours?,calm,"contains-all: red, blue",\n'
        "Say hi,calm,Hi,javascript: output.length < 5\n"
        "Write JSON,calm,is-json,\n"
        "Be kind,calm,llm-rubric: is kind,\n"
    )
    suite = imported(tmp_path, "tests.csv", text)
    kinds = [case.grader.kind for case in suite.cases]
    assert kinds == [
        GraderKind.CONTAINS,
        GraderKind.CONTAINS_ALL,
        GraderKind.EXACT,
        GraderKind.JSON,
        GraderKind.HUMAN,
    ]
    assert suite.cases[0].variables == {"tone": "calm"}
    assert suite.cases[1].targets == ("red", "blue")
    assert suite.cases[2].note == "Not imported: javascript: output.length < 5"
    assert suite.cases[4].note == "Not imported: llm-rubric: is kind"


def test_inspect(tmp_path: Path) -> None:
    rows = [
        {"id": "q1", "input": "Which?", "target": "B", "choices": ["one", "two"]},
        {"input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
         "target": ["Hello", "Hi"]},
    ]  # fmt: skip
    suite = imported(tmp_path, "q.jsonl", "\n".join(map(json.dumps, rows)), ImportKind.INSPECT)
    first, second = suite.cases
    assert (first.id, first.grader.kind, first.choices) == ("q1", GraderKind.LETTER, ("one", "two"))
    assert (second.system, second.input, second.targets) == ("Be brief.", "Hi", ("Hello", "Hi"))
    assert suite.chat


def test_openai_evals(tmp_path: Path) -> None:
    row = {"input": [{"role": "user", "content": "2+2"}], "ideal": "4"}
    suite = imported(tmp_path, "samples.jsonl", json.dumps(row))
    assert (suite.cases[0].input, suite.cases[0].targets) == ("2+2", ("4",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "it is of no format that is known"),
        ("__expected\nx\n", "it has no question"),
    ],
)
def test_what_is_of_no_format_says_so(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PlaygroundError, match=words):
        imported(tmp_path, "x.csv", text)


TASK = """
task: mine
dataset_path: json
dataset_kwargs: {data_files: {test: docs.jsonl}}
test_split: test
doc_to_text: "Q: {{question}}\\nA:"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["Q:"], max_gen_toks: 32}
"""
DOCS = '{"question": "1+1?", "answer": "2"}\n{"question": "2+2?", "answer": "4"}\n'


def task(folder: Path, text: str = TASK, docs: str = DOCS) -> Suite:
    (folder / "docs.jsonl").write_text(docs, encoding="utf-8")
    return imported(folder, "mine.yaml", text)


def test_a_task_of_the_harness(tmp_path: Path) -> None:
    suite = task(tmp_path)
    assert [case.targets for case in suite.cases] == [("2",), ("4",)]
    assert getattr(prompt_of(suite, suite.cases[0]), "text", "") == "Q: 1+1?\nA:"
    assert (suite.stop, suite.max_new_tokens) == (("Q:",), 32)


def test_choices_of_a_task(tmp_path: Path) -> None:
    text = TASK + "output_type: multiple_choice\ndoc_to_choice: ['no', 'yes']\n"
    text = text.replace('"{{answer}}"', "label")
    suite = task(tmp_path, text, '{"question": "Is it?", "label": 1}\n')
    (case,) = suite.cases
    assert (case.grader.kind, case.choices, case.targets) == (
        GraderKind.CHOICE,
        ("no", "yes"),
        ("yes",),
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"{{answer}}"', "!function utils.target", "runs the Python function utils.target"),
        ("task: mine", "process_docs: !function u.docs", "runs the Python function u.docs"),
        ("task: mine", "include: other.yaml", "it includes another file"),
        ("docs.jsonl", "../docs.jsonl", "are not in its folder"),
        ("docs.jsonl", "/etc/passwd", "are not in its folder"),
        ("dataset_kwargs: {data_files: {test: docs.jsonl}}", "", "are in the dataset json"),
        ("{{question}}", "{{nothing}}", "a template failed: 'nothing' is undefined"),
        ("{{question}}", "{{ ''.__class__.__mro__ }}", "a template failed"),
        ("{{question}}", "{{ 'a' * 4000000000 }}", "memory|too much text"),
        ("task: mine", "task: [", "line 4: it is not valid YAML"),
    ],
)
def test_what_a_task_may_not_do(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(PlaygroundError, match=words):
        task(tmp_path, TASK.replace(old, new))


def test_a_template_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "_RENDER_S", 0.5)
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(PlaygroundError, match="did not end within"):
        task(tmp_path, TASK.replace("{{question}}", loop))
