"""Pieces of a calibration text: the tokenizer's own ids, within the limits of prompts."""

from __future__ import annotations

import pytest
from tokenizers import Regex
from tokenizers.normalizers import Replace
from transformers import PreTrainedTokenizerBase

from playground.core.errors import ModelError, OptionsError
from playground.engine.decoding.interruption import InterruptedForwardError
from playground.engine.prompts.process import PromptEncoder
from playground.engine.quantizing.calibration import pieces
from tests.engine.serving.tokenizers_of_all_kinds import byte_level

TEXT = "Alice was beginning to get very tired of sitting by her sister on the bank. " * 4


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return byte_level()


@pytest.fixture(scope="module")
def prompts(tokenizer: PreTrainedTokenizerBase) -> PromptEncoder:
    return PromptEncoder(tokenizer)


def test_pieces_come_from_evenly_spaced_places(
    tokenizer: PreTrainedTokenizerBase, prompts: PromptEncoder
) -> None:
    found = pieces(prompts, TEXT, 4, 20, lambda: "")
    assert [piece["attention_mask"] for piece in found] == [[[1] * 20]] * 4
    for number, piece in enumerate(found):
        part = TEXT[number * len(TEXT) // 4 :]
        assert piece["input_ids"] == [tokenizer(part)["input_ids"][:20]]


def test_too_short_a_text_says_how_many_tokens_are_needed(prompts: PromptEncoder) -> None:
    with pytest.raises(OptionsError, match="4 pieces of 900 tokens are 3600 tokens"):
        pieces(prompts, TEXT, 4, 900, lambda: "")


def test_a_cancel_and_a_failing_tokenizer_end_it(prompts: PromptEncoder) -> None:
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.normalizer = Replace(Regex("(a+)+$"), "b")
    failing = PromptEncoder(tokenizer)
    with pytest.raises(ModelError, match="tokenizer fails on this text"):
        pieces(failing, "a" * 40 + "b", 1, 4, lambda: "")
    endless = " ".join(["a" * 23 + "b"] * 1000)
    with pytest.raises(InterruptedForwardError, match="cancelled"):
        pieces(failing, endless, 1, 4096, lambda: "cancelled")
