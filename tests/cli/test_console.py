"""Tables, curves and numbers for the terminal."""

from __future__ import annotations

import pytest

from playground.cli import console
from playground.cli.console import sparkline, table
from playground.core.format import printable, rate_text, ratio_text, seconds_text, size_text


def test_columns_are_aligned() -> None:
    assert table([("", "rate"), ("bf16", "9"), ("int8", "1000")]) == [
        "      rate",
        "----  ----",
        "bf16     9",
        "int8  1000",
    ]


def test_a_terminal_gets_no_commands() -> None:
    assert printable("a\x1b[31mb\n\tc\x00\r") == "a\N{REPLACEMENT CHARACTER}[31mb\n\tc" + (
        "\N{REPLACEMENT CHARACTER}" * 2
    )


def test_a_curve_shows_the_largest_of_each_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_can_print", lambda _: True)
    assert sparkline([0.0, 5.0, 10.0], 10.0) == "▁▅█"
    assert sparkline([1.0, 10.0] * 50, 10.0, width=10) == "█" * 10
    assert sparkline([], 10.0) == ""
    assert sparkline([0.0], 0.0) == "▁"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (seconds_text(0.0421), "42.1 ms"),
        (seconds_text(1.5), "1.50 s"),
        (seconds_text(None), "–"),
        (rate_text(1234.5), "1,234"),
        (size_text(12_333_488), "12.3 MB"),
        (size_text(25.3e9), "25.3 GB"),
        (ratio_text(0.7), "0.70×"),
    ],
)
def test_numbers(text: str, wanted: str) -> None:
    assert text == wanted
