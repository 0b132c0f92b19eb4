"""The script made from an answer prints the answer's text, for every kind of model and option."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tokenizers.pre_tokenizers import ByteLevel

from playground.client.session import Session
from playground.core.facts import Answer, LoadRequest
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
from tests.engine.architectures import make, write
from tests.engine.driver import run_script
from tests.support import printed_by
from tests.support.old_gptq import Kind, write_pair
from tests.support.own_code import write_own_code
from tests.support.tiny_model import tiny_model_files, write_files

PLAIN, GPTQ = resource("models", "classics-6m"), resource("models", "classics-6m-gptq")
KING = RawPrompt('"Well," said the "old" king\'s son,\n')
CHAT = ChatPrompt((Message("user", "Who's there?"), Message("assistant", "I"), Message("user", "")))
SAMPLED = GenerationOptions(
    max_new_tokens=12, greedy=False, temperature=0.9, min_p=0.02, seed=11, repetition_penalty=1.1
)
#: With a tiny model of random weights it gives all kinds of tokens.
VARIED = GenerationOptions(max_new_tokens=120, greedy=False, seed=3, temperature=2.0, top_k=0)
#: A special token for tokenizer.json, here one that the answer has.
SPECIAL = {
    "id": sorted(ByteLevel.alphabet()).index("4"),
    "content": "4",
    "special": True,
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
}
TEMPLATE = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
PARTS = (
    "{% for m in messages %}{% for part in m.content %}{{ part.text }}\n{% endfor %}{% endfor %}"
)


def bundled(folder: Path) -> Path:
    return PLAIN


def quantized(folder: Path) -> Path:
    return GPTQ


def old(kind: Kind) -> Callable[[Path], Path]:
    return lambda folder: write_pair(folder, kind)[0]


def own_code(folder: Path) -> Path:
    return write_own_code(folder, folder.with_name("trace"))


def tiny(
    *, config: dict[str, Any] | None = None, **files: dict[str, Any]
) -> Callable[[Path], Path]:
    """A tiny Llama, with values changed in its JSON files."""

    def write(folder: Path) -> Path:
        found = tiny_model_files(seed=5)
        for stem, values in {"config": config or {}, **files}.items():
            name = f"{stem}.json"
            found[name] = json.dumps({**json.loads(found[name]), **values}).encode()
        return write_files(folder, found)

    return write


def mamba(folder: Path) -> Path:
    return write(make("mamba", seed=0), folder)


def chatty(template: str) -> Callable[[Path], Path]:
    def copy(folder: Path) -> Path:
        shutil.copytree(PLAIN, folder)
        (folder / "chat_template.jinja").write_text(template, "utf-8")
        return folder

    return copy


@dataclass(frozen=True)
class Case:
    """A model, and what it is asked."""

    write: Callable[[Path], Path]
    precision: Precision = Precision.FP32
    options: GenerationOptions = field(default_factory=lambda: GenerationOptions(max_new_tokens=12))
    prompt: Prompt = KING
    decoder: str = "auto"
    own_code: str = ""


#: In precisions of 16 bits another decoder's logits differ by rounding, which can change a token:
#: these answers are by `generate`.
CASES = {
    "fp32": Case(bundled),
    "fp32 sampled": Case(bundled, options=SAMPLED),
    "bf16 sampled": Case(bundled, Precision.BF16, SAMPLED, decoder="generate"),
    "fp16": Case(bundled, Precision.FP16, decoder="generate"),
    "int8 stop string": Case(
        bundled,
        Precision.INT8,
        GenerationOptions(max_new_tokens=12, stop=(",",)),
        decoder="generate",
    ),
    "int8 weight-only": Case(bundled, Precision.INT8_WEIGHT_ONLY, decoder="generate"),
    "nf4": Case(bundled, Precision.NF4, decoder="generate"),
    "mamba int8": Case(mamba, Precision.INT8),
    "gptq": Case(
        quantized,
        Precision.GPTQ,
        GenerationOptions(max_new_tokens=12, ignore_eos=True),
        decoder="generate",
    ),
    "gptq 8-bit": Case(old(Kind(bits=8, symmetric=False)), Precision.GPTQ, decoder="generate"),
    "gptq 3-bit in shards": Case(old(Kind(bits=3, shards=2)), Precision.GPTQ, decoder="generate"),
    "own code": Case(own_code, own_code="sha256:agreed"),
    "chat": Case(chatty(TEMPLATE), prompt=CHAT),
    "chat in parts": Case(chatty(PARTS), prompt=CHAT),
    "empty at once": Case(tiny(config={"eos_token_id": list(range(256))})),
    "suppressed": Case(
        tiny(
            generation_config={
                "suppress_tokens": list(range(100, 200)),
                "begin_suppress_tokens": list(range(90, 256)),
            }
        )
    ),
    "an attention of elsewhere": Case(tiny(config={"attn_implementation": "flash_attention_2"})),
    "forbidden": Case(
        tiny(generation_config={"bad_words_ids": [[i] for i in range(60, 256)] + [[5, 6], [7]]}),
        options=SAMPLED,
    ),
    "eos of the tokenizer": Case(
        tiny(config={"eos_token_id": None}, tokenizer_config={"eos_token": "e", "bos_token": "a"}),
        options=VARIED,
    ),
    "a special token as stop string": Case(
        tiny(tokenizer={"added_tokens": [SPECIAL]}),
        options=msgspec.structs.replace(VARIED, stop=("4",)),
    ),
}


@dataclass(frozen=True)
class Again:
    """An answer, its script, and what the script printed."""

    answer: Answer
    script: str
    printed: str


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Again]:
    base = tmp_path_factory.mktemp("scripts")
    answers: dict[str, Answer] = {}
    paths: list[Path] = []
    for number, (name, case) in enumerate(CASES.items()):
        request = LoadRequest(
            name=name,
            folder=str(case.write(base / f"model{number}")),
            commit="",
            precision=case.precision,
            warm_up=False,
            decoder=case.decoder,  # type: ignore[arg-type]
            trust_remote_code=case.own_code,
        )
        with Session() as session:
            session.load(request)
            answers[name] = session.generate(case.prompt, case.options)
        paths.append(base / f"again{number}.py")
        paths[-1].write_text(script(answers[name], case.prompt), "utf-8")
    # In one process: the libraries are imported once.
    printed = run_script(Path(printed_by.__file__), *map(str, paths))
    texts = [path.read_text("utf-8") for path in paths]
    values = zip(answers, texts, printed, strict=True)
    return {name: Again(answers[name], text, output) for name, text, output in values}


@pytest.mark.parametrize("name", list(CASES))
def test_the_script_prints_the_answer(again: dict[str, Again], name: str) -> None:
    found = again[name]
    assert found.answer.token_ids
    assert found.printed == found.answer.text + "\n"


def test_the_rules_of_the_models_files_are_kept(again: dict[str, Again]) -> None:
    assert again["eos of the tokenizer"].answer.stop_reason == "eos"
    stopped = again["a special token as stop string"].answer
    assert stopped.stop_reason == "stop string"
    assert stopped.token_ids.index(SPECIAL["id"]) == len(stopped.token_ids) - 1
    assert stopped.text
    assert "4" not in stopped.text
    assert not set(again["suppressed"].answer.token_ids) & set(range(100, 200))
    assert again["suppressed"].answer.token_ids[0] < 90
    assert max(again["forbidden"].answer.token_ids) < 60
    assert again["chat in parts"].answer.stamp.content_parts
    assert "own Python code, of commit sha256:agreed" in again["own code"].script


def test_a_script_runs_in_a_plain_interpreter(again: dict[str, Again], tmp_path: Path) -> None:
    """GPTQ, whose library prints a banner when it is imported."""
    program = tmp_path / "again.py"
    program.write_text(again["gptq"].script, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == again["gptq"].answer.text + "\n"
