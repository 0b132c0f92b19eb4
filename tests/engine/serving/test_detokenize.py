"""Streamed text equals the text decoded at once, at a cost that does not grow."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from playground.engine.serving.detokenize import Detokenizer, StopFilter

TEXTS = (
    "It was the best of times, it was the worst of times.",
    "naïve café — “quotes” … 日本語のテキスト、한국어, العربية, עברית",
    "🧑‍🚀👩🏽‍💻🇫🇷 emoji with joiners",
    "tabs\tand\nnewlines\r\n  and   spaces ",
    "NUL \x00 and \u202e bidi and \ufffd a real replacement character",
)


@pytest.fixture(scope="session")
def tokenizer(model_folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(model_folder / "tokenizer.json"))


@pytest.fixture
def decode(tokenizer: Tokenizer) -> Callable[[Sequence[int]], str]:
    return lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=True))


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_back_in_whole_characters(
    tokenizer: Tokenizer, decode: Callable[[Sequence[int]], str], text: str
) -> None:
    detokenizer = Detokenizer(decode)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    pieces = [detokenizer.feed(i) for i in ids]
    assert "".join(pieces) + detokenizer.flush() == decode(ids) == text
    if "\ufffd" not in text:
        assert not any("\ufffd" in piece for piece in pieces)


def test_an_incomplete_character_comes_with_the_flush(
    tokenizer: Tokenizer, decode: Callable[[Sequence[int]], str]
) -> None:
    ids = tokenizer.encode("x🧑", add_special_tokens=False).ids[:-1]
    detokenizer = Detokenizer(decode)
    assert "".join(detokenizer.feed(i) for i in ids) == "x"
    assert detokenizer.flush() == "\ufffd"
    assert detokenizer.flush() == ""


def test_random_tokens_lose_nothing(
    tokenizer: Tokenizer, decode: Callable[[Sequence[int]], str]
) -> None:
    rng = random.Random(3)
    ids = [rng.randrange(tokenizer.get_vocab_size()) for _ in range(5000)]
    detokenizer = Detokenizer(decode)
    text = "".join(detokenizer.feed(i) for i in ids) + detokenizer.flush()
    # Broken bytes that a window's border parts may count as one character more or less.
    assert text.replace("\ufffd", "") == decode(ids).replace("\ufffd", "")


def test_the_cost_of_a_token_does_not_grow(
    tokenizer: Tokenizer, decode: Callable[[Sequence[int]], str]
) -> None:
    decoded = 0

    def count(ids: Sequence[int]) -> str:
        nonlocal decoded
        decoded += len(ids)
        return decode(ids)

    words = tokenizer.encode(TEXTS[0] * 200, add_special_tokens=False).ids
    broken = [tokenizer.encode("日", add_special_tokens=False).ids[0]] * 2000
    special = [1] * 2000
    for ids in (words, broken, special):
        decoded = 0
        detokenizer = Detokenizer(count)
        for i in ids:
            detokenizer.feed(i)
        assert decoded < 70 * len(ids)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("one two three", ("two",), "one "),
        ("one two three", ("three", "e t"), "on"),
        ("aaab", ("aab",), "a"),
        ("nothing to stop", ("stopp", "xyz"), None),
        ("ababac", ("abac",), "ab"),
        ("end", ("end",), ""),
        ("überall", ("ü",), ""),
        ("no stops", (), None),
    ],
)
def test_stop_filter(text: str, stops: tuple[str, ...], expected: str | None, size: int) -> None:
    stop_filter = StopFilter(stops)
    out = ""
    for start in range(0, len(text), size):
        if not stop_filter.stopped:
            out += stop_filter.feed(text[start : start + size])
        # What is out already can never have to be taken back.
        assert (text if expected is None else expected).startswith(out)
    out += stop_filter.flush()
    assert stop_filter.stopped == (expected is not None)
    assert out == (text if expected is None else expected)


def test_only_what_may_become_a_stop_string_is_held_back() -> None:
    stop_filter = StopFilter(("\n\nUser:",))
    assert stop_filter.feed("Hello\n") == "Hello"
    assert stop_filter.feed("World") == "\nWorld"
