"""Answers of many architectures, compared with transformers' `generate`."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedModel

from playground.core.facts import Answer, LoadRequest
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import Finished, Generate, Load, Loaded, event_decoder
from playground.engine.serving.runtime import Runtime
from playground.engine.wire.inbox import Inbox
from playground.engine.wire.sender import Sender
from tests.engine.architectures import ARCHITECTURES, auto_class, make, write
from tests.engine.decoders import assert_as_generate

PROMPT = "Alice was beginning to get very tired"
NEW_TOKENS = 24
DTYPES = {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16}


class Wire:
    """A real sender, and the events that it has written to a file."""

    def __init__(self, descriptor: int) -> None:
        self.sender = Sender(descriptor)
        self._descriptor = descriptor
        self._read = 0
        self._decoder = event_decoder()

    def events(self) -> list[Any]:
        """Return the events since the last call."""
        data = os.pread(self._descriptor, 1 << 20, self._read)
        self._read += len(data)
        return list(self._decoder.feed(data))


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


def answer(wire: Wire, folder: Path, precision: Precision) -> Answer:
    """Load the model in an engine's runtime, and let it answer."""
    runtime = Runtime(wire.sender, Inbox(0), 0.0)
    request = LoadRequest(name="t", folder=str(folder), commit="", precision=precision, threads=1)
    assert runtime.load(Load(request)) is None
    loaded = wire.events()[-1]
    assert isinstance(loaded, Loaded), loaded
    assert loaded.model.verified.precision is precision
    command = Generate(
        request_id=1,
        prompt=RawPrompt(PROMPT),
        options=GenerationOptions(max_new_tokens=NEW_TOKENS),
        sent_at=time.monotonic(),
    )
    assert runtime.generate(command) is None
    finished = wire.events()[-1]
    assert isinstance(finished, Finished), finished
    return finished.answer


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
        found = answer(wire, folder, precision)
        assert_as_generate(reference, prompt, list(found.token_ids), expected)
        if list(found.token_ids) == expected:
            assert found.text == tokenizer.decode(expected, skip_special_tokens=True)
            assert found.stop_reason == ("eos" if expected[-1] == end else "length")
