"""Prompts and options: which are refused, and with which words."""

from __future__ import annotations

import msgspec
import pytest

from playground.core.comparison import alternating, median, ratio
from playground.core.errors import OptionsError
from playground.core.generation import (
    MAX_PROMPT_CHARACTERS,
    RANGES,
    GenerationOptions,
    clean_prompt_text,
)


def test_the_defaults_are_allowed() -> None:
    GenerationOptions().check()


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("side", [0, 1], ids=["below", "above"])
def test_a_value_out_of_range_names_the_range_and_the_value(name: str, side: int) -> None:
    limit = RANGES[name][side]
    value = limit - 1 if side == 0 else limit + 1
    options = msgspec.structs.replace(GenerationOptions(), **{name: value})
    with pytest.raises(OptionsError) as caught:
        options.check()
    assert f"{limit:,}" in caught.value.message
    assert f"{value:,}" in caught.value.message


def test_nan_and_empty_stop_strings_are_refused() -> None:
    with pytest.raises(OptionsError, match="Temperature"):
        GenerationOptions(temperature=float("nan")).check()
    with pytest.raises(OptionsError, match="stop string is empty"):
        GenerationOptions(stop=("x", "")).check()
    with pytest.raises(OptionsError, match="lone surrogates"):
        GenerationOptions(stop=("x", "a\ud800")).check()


@pytest.mark.parametrize("text", ["a\0b", "<b>x</b>", "\u202eabc", "🙂", "x" * 1_000_000])
def test_unusual_text_stays_unchanged(text: str) -> None:
    assert clean_prompt_text(text) == (text, "")


def test_lone_surrogates_are_replaced_and_reported() -> None:
    text, notice = clean_prompt_text("a\ud800b\udfff")
    assert text == "a\ufffdb\ufffd"
    assert "2 broken" in notice


def test_empty_and_huge_prompts_are_refused() -> None:
    with pytest.raises(OptionsError, match="empty"):
        clean_prompt_text("")
    with pytest.raises(OptionsError, match="characters"):
        clean_prompt_text("x" * (MAX_PROMPT_CHARACTERS + 1))


def test_the_order_alternates() -> None:
    assert list(alternating("ab", 3)) == [
        (0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b"),
    ]  # fmt: skip


def test_medians_and_ratios_skip_what_is_not_defined() -> None:
    assert median([3.0, None, 1.0, 2.0]) == 2.0
    assert median([None]) is None
    assert ratio(3.0, 2.0) == 1.5
    assert ratio(None, 2.0) is None
    assert ratio(1.0, 0.0) is None
