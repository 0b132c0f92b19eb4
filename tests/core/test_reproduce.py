"""The script made from a stamp gives the answer again, run by a plain interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
from playground.core.precision import Precision
from playground.core.reproduce import script
from playground.core.resources import resource

PLAIN, GPTQ = resource("models", "classics-6m"), resource("models", "classics-6m-gptq")
SAMPLED = GenerationOptions(
    max_new_tokens=12, greedy=False, temperature=0.9, min_p=0.02, seed=11, repetition_penalty=1.1
)


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
    request = LoadRequest(
        name=folder.name, folder=str(folder), commit="", precision=precision, warm_up=False
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
