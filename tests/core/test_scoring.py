"""Windows count every token once; impossible sizes are refused."""

from __future__ import annotations

import pytest

from playground.core.choices import LONGEST_WINDOW
from playground.core.errors import OptionsError
from playground.core.scoring import ScoreRequest, Window, sizes_of, windows_of


@pytest.mark.parametrize("tokens", [1, 2, 7, 8, 9, 30])
@pytest.mark.parametrize(("window", "stride"), [(8, 4), (8, 7), (8, 1), (2, 1), (5, 3)])
def test_every_token_but_the_first_is_counted_once(tokens: int, window: int, stride: int) -> None:
    windows = windows_of(tokens, window, stride)
    counted = [token for w in windows for token in range(w.counted, w.end)]
    assert counted == list(range(1, tokens))
    for w in windows:
        assert w.begin < w.counted < w.end <= w.begin + window


def test_a_later_window_counts_what_no_earlier_one_did() -> None:
    assert windows_of(10, 6, 3) == [Window(0, 6, 1), Window(3, 9, 6), Window(6, 10, 9)]


@pytest.mark.parametrize(
    ("window", "stride", "context", "sizes"),
    [
        (0, 0, 1024, (1024, 512)),
        (0, 0, 100_000, (LONGEST_WINDOW, LONGEST_WINDOW // 2)),
        (0, 0, 0, (LONGEST_WINDOW, LONGEST_WINDOW // 2)),
        (64, 0, 1024, (64, 32)),
        (64, 63, 0, (64, 63)),
    ],
)
def test_sizes_follow_the_context(
    window: int, stride: int, context: int, sizes: tuple[int, int]
) -> None:
    assert sizes_of(ScoreRequest(text="a", window=window, stride=stride), context) == sizes


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (ScoreRequest(text=""), "text is empty"),
        (ScoreRequest(text="a", window=1), "at least 2 tokens, not 1"),
        (ScoreRequest(text="a", window=8, stride=8), "not 8: each token needs another"),
        (ScoreRequest(text="a", window=2000), "longer than the model's context of 1,024"),
    ],
)
def test_impossible_sizes_are_refused(request_: ScoreRequest, sentence: str) -> None:
    with pytest.raises(OptionsError, match=sentence):
        sizes_of(request_, 1024)
