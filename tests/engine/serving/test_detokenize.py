"""Streamed text equals the text decoded at once, at a cost that does not grow."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import decoders
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from playground.core.errors import ModelError
from playground.engine.serving.detokenize import Detokenizer, TokenTexts, token_texts
from tests.engine.serving.tokenizers_of_all_kinds import KINDS, llama2

TEXTS = (
    "It was the best of times, it was the worst of times.",
    "naïve café — “quotes” … 日本語のテキスト、한국어, العربية, עברית",
    "🧑‍🚀👩🏽‍💻🇫🇷 emoji with joiners",
    "😀😁 ok\n😀\n\n👨‍👩‍👧‍👦👍🏿❤️",
    "ភាសាខ្មែរ བོད་སྐད། አማርኛ ไทย नमस्ते 𓂀𝔘𝔫𝔦",
    "tabs\tand\nnewlines\r\n  and   spaces ",
    "NUL \x00 and \u202e bidi and \ufffd a real replacement character",
)


@pytest.fixture(scope="module", params=[*KINDS, "bundled"])
def tokenizer(request: pytest.FixtureRequest, model_folder: Path) -> PreTrainedTokenizerBase:
    if request.param in KINDS:
        return KINDS[request.param]()
    bundled: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(model_folder)
    return bundled


def streamed(texts: TokenTexts, ids: Sequence[int]) -> list[str]:
    detokenizer = Detokenizer(texts)
    return [*map(detokenizer.feed, ids), detokenizer.flush()]


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_back_in_whole_characters(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    texts = token_texts(tokenizer)
    ids = tokenizer(text)["input_ids"]
    pieces = streamed(texts, ids)
    whole = texts.decode(ids)
    assert "".join(pieces) == whole
    if "\ufffd" not in whole:
        assert not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize("seed", range(20))
def test_random_tokens_come_as_if_decoded_at_once(
    tokenizer: PreTrainedTokenizerBase, seed: int
) -> None:
    """Broken runs of bytes, special tokens, and ids beyond the vocabulary included."""
    rng = random.Random(seed)
    texts = token_texts(tokenizer)
    count = len(tokenizer.get_vocab())
    beyond = 5 if tokenizer.is_fast else 0
    few = rng.sample(range(count), min(12, count))
    emoji = tokenizer("😀日 \n", add_special_tokens=False)["input_ids"]
    ids: list[int] = []
    while len(ids) < 600:
        ids += rng.choice(
            (
                [rng.randrange(count + beyond)],
                [rng.choice(few)] * rng.randrange(1, 16),
                emoji[: rng.randrange(1, len(emoji) + 1)] * rng.randrange(1, 4),
                rng.choices(sorted(texts.special), k=2),
            )
        )
    assert "".join(streamed(texts, ids)) == texts.decode(ids)
    script = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert script == texts.decode(ids)


def test_a_long_run_of_byte_tokens_is_not_held_back_to_its_end() -> None:
    texts = token_texts(llama2())
    ids = llama2()("ភាសាខ្មែរ" * 20)["input_ids"]
    pieces = streamed(texts, ids)
    assert "".join(pieces) == texts.decode(ids) == "ភាសាខ្មែរ" * 20
    waits = [index for index, piece in enumerate(pieces) if piece]
    assert max(after - before for before, after in itertools.pairwise(waits)) <= 64


def test_an_incomplete_character_comes_with_the_flush() -> None:
    texts = token_texts(KINDS["byte-level"]())
    ids = KINDS["byte-level"]()("x🧑")["input_ids"][:-1]
    pieces = streamed(texts, ids)
    assert "".join(pieces[:-1]) == "x"
    assert pieces[-1] == "\ufffd"


def test_the_cost_of_a_token_does_not_grow(tokenizer: PreTrainedTokenizerBase) -> None:
    decoded = 0
    texts = token_texts(tokenizer)

    def count(ids: Sequence[int]) -> str:
        nonlocal decoded
        decoded += len(ids)
        return texts.decode(ids)

    words = tokenizer(TEXTS[0] * 200, add_special_tokens=False)["input_ids"]
    broken = tokenizer("日😀", add_special_tokens=False)["input_ids"][:1] * 2000
    special = [min(texts.special)] * 2000
    for ids in (words, broken, special):
        decoded = 0
        streamed(replace(texts, decode=count), ids)
        assert decoded <= 70 * len(ids)


def test_a_decoder_that_multiplies_the_text_is_refused() -> None:
    tokenizer = KINDS["byte-level"]()
    tokenizer.backend_tokenizer.decoder = decoders.Sequence([decoders.Replace("a", "aa")] * 40)
    with pytest.raises(ModelError, match="is refused: its decoder"):
        token_texts(tokenizer)
