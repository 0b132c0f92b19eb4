"""Answers of many architectures, compared with transformers' `generate`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedModel

from playground.core.precision import Precision
from playground.engine.decoding.cached_loop import CachedDecoder
from tests.engine.architectures import ARCHITECTURES, auto_class, make, write
from tests.engine.decoders import assert_as_generate
from tests.engine.in_process import InProcess, Wire

PROMPT = "Alice was beginning to get very tired"
NEW_TOKENS = 24
DTYPES = {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16}


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with tempfile.TemporaryFile() as file:
        yield Wire(file.fileno())


def generated(model: PreTrainedModel, prompt: list[int]) -> list[int]:
    """Return `generate`'s greedy tokens after the prompt."""
    ids = torch.tensor([prompt])
    output: Any = model.generate(  # type: ignore[operator]  # transformers types it as a tensor
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        pad_token_id=0,
    )
    return [int(token) for token in output[0, len(prompt) :]]


def made(name: str) -> tuple[PreTrainedModel, int]:
    """Return a model whose text has several tokens, and the one of them that comes last."""
    for seed in range(20):
        model = make(name, seed)
        text = generated(model, list(PROMPT.encode()))
        last = max(text, key=text.index)
        if text.index(last) > 3:
            return model, last
    raise AssertionError(f"{name} repeats itself")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_answer_is_that_of_generate(name: str, wire: Wire, tmp_path: Path) -> None:
    model, end = made(name)
    model.generation_config.eos_token_id = end
    folder = write(model, tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer(PROMPT)["input_ids"]
    for precision, dtype in DTYPES.items():
        reference = auto_class(model.config).from_pretrained(folder, dtype=dtype)
        expected = generated(reference, prompt)
        engine = InProcess(wire, folder, precision)
        assert engine.loaded.verified.precision is precision
        found = engine.ask(PROMPT, NEW_TOKENS).answer
        assert_as_generate(reference, prompt, list(found.token_ids), expected)
        if list(found.token_ids) == expected:
            assert found.text == tokenizer.decode(expected, skip_special_tokens=True)
            assert found.stop_reason == ("eos" if expected[-1] == end else "length")


def test_a_decoder_that_fails_in_the_warm_up_leaves_generate(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no cached loop today")

    folder = write(make("llama", seed=0), tmp_path / "model")
    monkeypatch.setattr(CachedDecoder, "decode", fails)
    engine = InProcess(wire, folder, Precision.FP32)
    assert "no cached loop today." in " ".join(engine.loaded.notes)
    answer = engine.ask(PROMPT, 4).answer
    assert answer.stamp.decoder == "transformers generate"
    assert len(answer.token_ids) == 4


def test_a_token_beyond_the_embeddings_is_named(wire: Wire, tmp_path: Path) -> None:
    folder = write(make("llama", seed=0), tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<image>"])
    tokenizer.save_pretrained(folder)
    engine = InProcess(wire, folder, Precision.FP32)
    failed = engine.ask("Look: <image>", 4)
    assert "the token '<image>' (id 256)" in failed.message
    assert len(engine.ask("Look.", 4).answer.token_ids) == 4


def test_an_end_of_text_of_nothing_is_none(wire: Wire, tmp_path: Path) -> None:
    folder = write(make("llama", seed=0), tmp_path / "model")
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [None]}))
    engine = InProcess(wire, folder, Precision.FP32)
    assert engine.ask(PROMPT, 4).answer.stop_reason == "length"
