"""GSM8K and BIG-Bench Hard with chain of thought, as lm-evaluation-harness 0.4.13 asks them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from playground.core.errors import FileError
from playground.core.system.reader import is_file, read_bytes, read_object
from playground.evaluation.case import Case, GraderKind, GraderSpec, Suite
from playground.evaluation.suites.errors import SuiteError
from playground.evaluation.suites.table import decoded, read_table

GSM8K_SHOTS, BBH_SHOTS = 8, 3
GSM8K_STOP = ("Q:", "</s>", "<|im_end|>")
BBH_STOP = ("</s>", "Q", "\n\n")
_NEW_TOKENS = 256
_CALCULATION = re.compile(r"<<[^<>]*>>")
_BETWEEN = "\n\n"
_STEP = "A: Let's think step by step.\n"
_NAME = re.compile(r"[a-z0-9_]{1,80}")
_BYTES = 16 << 20


def gsm8k(folder: Path, shots: int = GSM8K_SHOTS) -> Suite:
    """Return GSM8K's test problems from `folder`, which holds gsm8k/test.jsonl.

    Its examples are those of the harness where that is installed, else the first problems of
    gsm8k/train.jsonl, else the last of the test problems, which are then no cases; `source` says
    which. Raises PlaygroundError.
    """
    test = _problems(folder / "gsm8k" / "test.jsonl")
    examples, source = _gsm8k_examples(folder, shots)
    if len(examples) < shots:
        cut = len(test) - shots
        if cut < 1:
            raise SuiteError("gsm8k", f"it has only {len(test):,} problems for {shots} examples.")
        examples = [(p["question"], _worked(p["answer"])) for p in test[cut:]]
        test, source = test[:cut], f"the last {shots} of the test problems"
    prefix = "".join(f"Q: {q}\nA: {a}{_BETWEEN}" for q, a in examples[:shots])
    cases = tuple(
        Case(
            id=f"gsm8k-{number}",
            input=problem["question"],
            targets=(problem["answer"].rsplit("####", 1)[-1].strip(),),
            grader=GraderSpec(GraderKind.GSM8K),
        )
        for number, problem in enumerate(test)
    )
    return Suite(
        name="gsm8k",
        cases=cases,
        prefix=prefix,
        template="Q: {{input}}\nA:",
        stop=GSM8K_STOP,
        max_new_tokens=_NEW_TOKENS,
        source=f"openai/gsm8k; examples: {source}" if shots else "openai/gsm8k; no examples",
    )


def bbh(folder: Path, task: str, shots: int = BBH_SHOTS) -> Suite:
    """Return a task of BIG-Bench Hard from `folder`, which holds bbh/TASK.json and its prompt.

    Raises PlaygroundError.
    """
    place = folder / "bbh"
    if not _NAME.fullmatch(task) or not is_file(place / f"{task}.json"):
        known = ", ".join(sorted(path.stem for path in place.glob("*.json"))[:40])
        raise SuiteError(
            "bbh",
            f"there is no task {task!r} in {place}.",
            f"Choose one of: {known}." if known else "Name a folder that holds bbh/TASK.json.",
        )
    examples = read_object(place / f"{task}.json", _BYTES).get("examples")
    if not isinstance(examples, list) or not examples:
        raise SuiteError(f"{task}.json", "it has no examples.")
    description, worked = _bbh_prompt(place / f"{task}.cot-prompt.txt")
    if shots > len(worked):
        raise SuiteError(
            f"{task}.cot-prompt.txt",
            f"it has {len(worked)} worked examples, not {shots}.",
            "Ask for fewer.",
        )
    cases = []
    for number, example in enumerate(examples):
        if not isinstance(example, dict) or not {"input", "target"} <= example.keys():
            raise SuiteError(f"{task}.json", f"its example {number} has no input and target.")
        cases.append(
            Case(
                id=f"{task}-{number}",
                input=str(example["input"]),
                targets=(str(example["target"]),),
                grader=GraderSpec(GraderKind.BBH),
            )
        )
    return Suite(
        name=f"bbh/{task}",
        cases=tuple(cases),
        prefix="".join(part + _BETWEEN for part in (description, *worked[:shots])),
        template="Q: {{input}}\n" + _STEP,
        stop=BBH_STOP,
        max_new_tokens=_NEW_TOKENS,
        source=f"suzgunmirac/BIG-Bench-Hard, {task}; examples: its chain-of-thought prompt",
    )


def _bbh_prompt(path: Path) -> tuple[str, list[str]]:
    """Return a prompt's description and its worked examples; its canary header is left out."""
    text = decoded(read_bytes(path, _BYTES), path.name)
    _, line, body = text.partition("-----\n")
    description, *worked = (body if line else text).split(f"{_BETWEEN}Q: ")
    return description, [f"Q: {one}" for one in worked]


def _problems(path: Path) -> list[dict[str, str]]:
    try:
        table = read_table(path)
    except FileError as error:
        error.remedy = "Name a folder that holds gsm8k/test.jsonl, or get it from the Hub."
        raise
    if not {"question", "answer"} <= set(table.columns):
        raise SuiteError(path.name, "it has no columns question and answer.")
    return [
        {key: str(row.values.get(key, "")) for key in ("question", "answer")} for row in table.rows
    ]


def _gsm8k_examples(folder: Path, shots: int) -> tuple[list[tuple[str, str]], str]:
    if not shots:
        return [], ""
    found = _harness_examples()
    if len(found) >= shots:
        return found, f"the first {shots} of lm-evaluation-harness' gsm8k_cot"
    train = folder / "gsm8k" / "train.jsonl"
    if is_file(train):
        problems = _problems(train)[:shots]
        worked = [(one["question"], _worked(one["answer"])) for one in problems]
        return worked, f"the first {shots} of the training set"
    return [], ""


class _Sample(msgspec.Struct):
    question: str
    target: str


class _Config(msgspec.Struct):
    samples: list[_Sample]


class _Task(msgspec.Struct):
    fewshot_config: _Config


def _harness_examples() -> list[tuple[str, str]]:
    """Return the worked examples of the harness' own task file, [] where it is not installed."""
    try:
        spec = importlib.util.find_spec("lm_eval")
    except (ImportError, ValueError):
        return []
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        path = Path(place) / "tasks" / "gsm8k" / "gsm8k-cot.yaml"
        try:
            values: Any = yaml.safe_load(read_bytes(path, _BYTES))
            task = msgspec.convert(values, _Task)
        except (FileError, yaml.YAMLError, msgspec.ValidationError):
            continue
        return [(one.question, one.target) for one in task.fewshot_config.samples]
    return []


def _worked(answer: str) -> str:
    """Return a published answer as the chain of thought that prompts show."""
    text, _, gold = _CALCULATION.sub("", answer).rpartition("####")
    return f"{' '.join(text.split())} The answer is {gold.strip()}."
