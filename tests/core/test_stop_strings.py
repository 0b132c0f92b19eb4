"""Stop strings end a text in every division into pieces, those of special tokens included."""

from __future__ import annotations

import pytest

from playground.core.stop_strings import StopFilter


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


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("<|end|>", "Hi"),
        ("i<|end|>", "H"),
        ("<|end|>\nUser", "Hi"),
        ("|end", "Hi"),
        ("Hi\n", ""),
        ("<|end|> ", None),
    ],
)
def test_a_special_token_stops_and_is_never_shown(stop: str, expected: str | None) -> None:
    stop_filter = StopFilter((stop,))
    shown = ""
    for piece in ("H", "i", "<|end|>", "\n", "User", ":"):
        special = piece == "<|end|>"
        if not special:
            shown += stop_filter.feed(piece)
        elif stop_filter.mentions(piece):
            shown += stop_filter.feed(piece, special=True)
    shown += stop_filter.flush()
    assert stop_filter.stopped == (expected is not None)
    assert shown == ("Hi\nUser:" if expected is None else expected)
