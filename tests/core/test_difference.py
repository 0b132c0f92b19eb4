"""Where answers part: by ids, by texts of other tokenizers, and word by word after that."""

from __future__ import annotations

import random
import re

import pytest

from playground.core.difference import MAX_WORDS, Agreement, agreement, different_spans
from playground.core.token_record import TokenRecord


def record(*texts: str, ids: tuple[int, ...] | None = None) -> TokenRecord:
    """Return tokens of these texts; a text's id is its own unless given."""
    numbers = ids or tuple(hash(text) for text in texts)
    return TokenRecord(numbers, texts, tuple(map(float, range(len(texts)))))


@pytest.mark.parametrize(
    ("reference", "answer", "expected"),
    [
        (record(), record(), Agreement(0, 0, 0)),
        (record("a", "b"), record("a", "b"), Agreement(2, 2, 2)),
        (record("a", "b", "c"), record("a", "x", "c"), Agreement(1, 3, 1)),
        (record("x"), record("a"), Agreement(0, 1, 0)),
        # One of them has come further.
        (record("a"), record("a", "b"), Agreement(1, 1, 1)),
        (record("a", "b"), record("a"), Agreement(1, 1, 1)),
        # A character of two tokens.
        (record("a", "", "é"), record("a", "", "ê"), Agreement(2, 3, 1)),
        # The same ids are the same tokens, whatever text was held back.
        (record("a", "b", ids=(1, 2)), record("a", "", ids=(1, 2)), Agreement(2, 2, 1)),
    ],
)
def test_agreement_of_one_tokenizer(
    reference: TokenRecord, answer: TokenRecord, expected: Agreement
) -> None:
    assert agreement(reference, answer) == expected


@pytest.mark.parametrize(
    ("reference", "answer", "expected"),
    [
        (record("ab", "cd"), record("a", "bc", "d"), Agreement(3, 3, 4)),
        (record("ab", "cd"), record("a", "bx", "d"), Agreement(1, 3, 2)),
        (record("ab"), record("a", "b", "c"), Agreement(2, 2, 2)),
        (record("ab", "cd"), record("a"), Agreement(1, 1, 1)),
        (record("x"), record("a", "b"), Agreement(0, 2, 0)),
    ],
)
def test_agreement_of_other_tokenizers(
    reference: TokenRecord, answer: TokenRecord, expected: Agreement
) -> None:
    assert agreement(reference, answer, same_tokenizer=False) == expected


@pytest.mark.parametrize(
    ("reference", "answer", "start", "different"),
    [
        ("the red house", "the red house", 0, []),
        ("the red house", "the blue house", 4, ["blue"]),
        ("the red house", "the really red house", 4, ["really"]),
        ("the really red house", "the red house", 4, []),
        ("one, two", "one; two", 3, [";"]),
        # They part within a word: the whole word differs.
        ("a castle", "a castaway", 6, ["castaway"]),
        ("", "all new", 0, ["all new"]),
        ("a b c", "x y b z", 0, ["x y", "z"]),
        ("城を見た", "城を聞いた", 2, ["城を聞いた"]),
    ],
)
def test_spans_are_the_words_that_differ(
    reference: str, answer: str, start: int, different: list[str]
) -> None:
    spans = different_spans(reference, answer, start)
    assert [answer[low:high] for low, high in spans] == different


def test_what_lies_outside_the_spans_is_in_the_reference_in_its_order() -> None:
    numbers = random.Random(0)
    for _ in range(50):
        reference, answer = (" ".join(numbers.choices("abcdef", k=40)) for _ in range(2))
        kept, end = "", 0
        for low, high in different_spans(reference, answer):
            kept += answer[end:low]
            end = high
        kept += answer[end:]
        assert re.fullmatch(".*" + "".join(f"{w}.*" for w in kept.split()), reference)


def test_what_is_too_long_to_compare_counts_as_different() -> None:
    text = " ".join(["same"] * (MAX_WORDS + 3))
    ((start, end),) = different_spans(text, text)
    assert (start, end) == (MAX_WORDS * 5, len(text))
