"""GSM8K and BIG-Bench Hard: their prompts, and where the examples are from."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest

from playground.core.errors import PlaygroundError
from playground.core.generation import RawPrompt
from playground.evaluation.case import GraderKind, Suite
from playground.evaluation.suites.benchmarks import BBH_STOP, GSM8K_STOP, bbh, gsm8k
from playground.evaluation.suites.named import find_suite
from playground.evaluation.suites.prompts import prefix_of, prompt_of
from tests.support.shared_data import evaluation_data

PROBLEMS = [
    {"question": f"How many are {n} and 1?", "answer": f"{n}+1=<<{n}+1=9>>{n + 1}\n#### {n + 1}"}
    for n in range(1, 7)
]
PROMPT = """Canary.
-----
Count the letters.

Q: ab
A: Let's think step by step.
a, b. So the answer is 2.

Q: a
A: Let's think step by step.
a. So the answer is 1."""


def text_of(suite: Suite, number: int = 0) -> str:
    prompt = prompt_of(suite, suite.cases[number])
    assert isinstance(prompt, RawPrompt)
    return prompt.text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "bbh").mkdir()
    lines = "\n".join(json.dumps(problem) for problem in PROBLEMS)
    (tmp_path / "gsm8k" / "test.jsonl").write_text(lines, encoding="utf-8")
    examples = {"canary": "c", "examples": [{"input": "xyz", "target": "3"}]}
    (tmp_path / "bbh" / "letters.json").write_text(json.dumps(examples), encoding="utf-8")
    (tmp_path / "bbh" / "letters.cot-prompt.txt").write_text(PROMPT, encoding="utf-8")
    return tmp_path


@pytest.fixture
def no_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_bbh_keeps_its_prompt_but_for_the_canary(folder: Path) -> None:
    suite = bbh(folder, "letters", shots=2)
    question = "\n\nQ: xyz\nA: Let's think step by step.\n"
    assert text_of(suite) == PROMPT.partition("-----\n")[2] + question
    assert text_of(bbh(folder, "letters", shots=0)) == "Count the letters." + question
    assert (suite.stop, suite.cases[0].targets) == (BBH_STOP, ("3",))
    assert suite.cases[0].grader.kind is GraderKind.BBH
    with pytest.raises(PlaygroundError, match="has 2 worked examples, not 3"):
        bbh(folder, "letters", shots=3)
    for task in ("none", "../gsm8k/test", "letters.cot-prompt"):
        with pytest.raises(PlaygroundError, match="there is no task") as caught:
            bbh(folder, task)
        assert "letters" in caught.value.remedy


@pytest.mark.usefixtures("no_harness")
def test_gsm8k_takes_its_examples_from_the_training_set(folder: Path) -> None:
    train = [{"question": "How many are 3 and 4?", "answer": "3+4=<<3+4=7>>7\n#### 7"}] * 2
    path = folder / "gsm8k" / "train.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in train), encoding="utf-8")
    suite = gsm8k(folder, shots=1)
    assert text_of(suite) == (
        "Q: How many are 3 and 4?\nA: 3+4=7 The answer is 7.\n\nQ: How many are 1 and 1?\nA:"
    )
    assert suite.source.endswith("the first 1 of the training set")
    assert (len(suite.cases), suite.cases[0].targets) == (6, ("2",))
    assert suite.stop == GSM8K_STOP


@pytest.mark.usefixtures("no_harness")
def test_without_a_training_set_the_last_problems_are_no_cases(folder: Path) -> None:
    suite = gsm8k(folder, shots=2)
    assert len(suite.cases) == 4
    assert suite.source.endswith("the last 2 of the test problems")
    assert prefix_of(suite).startswith("Q: How many are 5 and 1?\nA: 5+1=6 The answer is 6.")
    assert len(gsm8k(folder, shots=0).cases) == 6
    with pytest.raises(PlaygroundError, match="only 6 problems for 6 examples"):
        gsm8k(folder, shots=6)
    (folder / "gsm8k" / "test.jsonl").unlink()
    with pytest.raises(PlaygroundError, match="missing") as caught:
        find_suite("gsm8k", folder)
    assert "gsm8k/test.jsonl" in caught.value.remedy


#: The beginning of the SHA-256 of three prompts, joined, as the harness makes them.
HARNESS = {
    ("gsm8k", 0): "1c6ce5db57da35c9",
    (
        "bbh/boolean_expressions",
        3,
    ): "9ed9a5e5be0473d6",
    ("bbh/causal_judgement", 2): "88ece575fc0731a2",
    (
        "bbh/date_understanding",
        3,
    ): "e2ebb7254a83ca12",
    ("bbh/object_counting", 0): "1ec4bc5c02436c86",
    (
        "bbh/penguins_in_a_table",
        3,
    ): "10d4fd99f8ac3438",
    ("bbh/word_sorting", 3): "592e0b883a011139",
}


@pytest.mark.parametrize(("name", "shots"), HARNESS)
def test_the_prompts_are_those_of_the_harness(name: str, shots: int) -> None:
    suite = find_suite(name, evaluation_data(), shots)
    prompts = "\0".join(text_of(suite, number) for number in range(3))
    assert hashlib.sha256(prompts.encode()).hexdigest()[:16] == HARNESS[name, shots]
