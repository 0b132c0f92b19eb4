"""The script made from a stamp reproduces the answer in a plain interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from playground.client.session import Session
from playground.core.facts import LoadRequest
from playground.core.generation import (
    ChatPrompt,
    GenerationOptions,
    Message,
    Prompt,
    RawPrompt,
)
from playground.core.model.reproduce import script
from playground.core.precision import Precision
from playground.core.system.resources import resource
from tests.support.old_gptq import Kind, write_pair
from tests.support.own_code import write_own_code

PLAIN, GPTQ = resource("models", "classics-6m"), resource("models", "classics-6m-gptq")
SAMPLED = GenerationOptions(
    max_new_tokens=12, greedy=False, temperature=0.9, min_p=0.02, seed=11, repetition_penalty=1.1
)


@pytest.mark.parametrize("kind", [Kind(bits=8, symmetric=False), Kind(shards=2)], ids=str)
def test_the_script_loads_what_auto_gptq_wrote(tmp_path: Path, kind: Kind) -> None:
    old, _ = write_pair(tmp_path / "pair", kind)
    assert_again(tmp_path, old, Precision.GPTQ, GenerationOptions(max_new_tokens=6))


def test_the_script_says_that_it_runs_the_models_own_code(tmp_path: Path) -> None:
    folder = write_own_code(tmp_path / "own", tmp_path / "trace")
    commit = {"trust_remote_code": "sha256:agreed"}
    text = assert_again(
        tmp_path, folder, Precision.FP32, GenerationOptions(max_new_tokens=6), **commit
    )
    assert "own Python code, of commit sha256:agreed" in text


def assert_again(
    tmp_path: Path, folder: Path, precision: Precision, options: GenerationOptions, **more: str
) -> str:
    """Assert that an answer's script prints the answer, and return the script."""
    prompt = RawPrompt("ab")
    request = LoadRequest(
        name="test", folder=str(folder), commit="", precision=precision, warm_up=False
    )
    with Session() as session:
        session.load(msgspec.structs.replace(request, **more))
        answer = session.generate(prompt, options)
    program = tmp_path / "again.py"
    text = script(answer.stamp, prompt)
    program.write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip("\n").endswith(answer.text.rstrip("\n"))
    return text


@pytest.mark.parametrize(
    ("folder", "precision", "options"),
    [
        (PLAIN, Precision.BF16, SAMPLED),
        (PLAIN, Precision.INT8, GenerationOptions(max_new_tokens=12, stop=(",",))),
        (GPTQ, Precision.GPTQ, GenerationOptions(max_new_tokens=12, ignore_eos=True)),
    ],
    ids=["bf16 sampled", "int8 stop string", "gptq greedy"],
)
def test_the_script_prints_the_answer(
    tmp_path: Path, folder: Path, precision: Precision, options: GenerationOptions
) -> None:
    prompt: Prompt = RawPrompt('"Well," said the "old" king\'s son,\n')
    # Another decoder's logits differ by rounding, which can change a sampled or a tied token.
    request = LoadRequest(
        name=folder.name,
        folder=str(folder),
        commit="",
        precision=precision,
        warm_up=False,
        decoder="generate",
    )
    with Session() as session:
        session.load(request)
        answer = session.generate(prompt, options)
    program = tmp_path / "again.py"
    program.write_text(script(answer.stamp, prompt), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program], capture_output=True, text=True, check=True
    )
    assert answer.text.strip()
    assert done.stdout.rstrip("\n").endswith(answer.text.rstrip("\n"))
    if precision is Precision.BF16:
        chat = script(answer.stamp, ChatPrompt((Message("user", "Who's there?"),)))
        compile(chat, "chat.py", "exec")
        assert "apply_chat_template" in chat
