"""The sentences of a verdict, and how often they are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from playground.evaluation.statistics import Interval, PairedCounts
from playground.evaluation.verdict import VerdictKind, clustered, points, verdict


@pytest.mark.parametrize(
    ("counts", "fixed", "kind", "text"),
    [
        (
            PairedCounts(600, 130, 90, 499),
            True,
            VerdictKind.BETTER,
            "Better by 0.8 to 5.3 points (95 %)",
        ),
        (
            PairedCounts(600, 90, 100, 529),
            True,
            VerdictKind.NO_LOSS,
            "No loss above 5 points (95 %): between −2.8 and +1.3",
        ),
        (
            PairedCounts(60, 2, 22, 16),
            True,
            VerdictKind.LOSS,
            "Loses 11.6 to 29.5 points (95 %)",
        ),
        (
            PairedCounts(40, 0, 0, 8),
            False,
            VerdictKind.UNDECIDED,
            "Undecided after 48: up to 10.6 points possible, about 90 more items",
        ),
        (PairedCounts(0, 0, 0, 0), True, VerdictKind.UNDECIDED,
         "Undecided: no case was graded in both"),
    ],
)  # fmt: skip
def test_the_four_forms(counts: PairedCounts, fixed: bool, kind: VerdictKind, text: str) -> None:
    found = verdict(counts, fixed=fixed)
    assert (found.kind, found.text) == (kind, text)


def test_items_that_belong_together_widen_the_interval() -> None:
    counts = PairedCounts(50, 12, 2, 36)
    alone = verdict(counts, fixed=True)
    assert alone.kind is VerdictKind.BETTER
    # All that the lane gains is in three groups of four.
    gained = [[1.0] * 4] * 3
    others = [[-1.0, 0.0]] * 2 + [[0.0] * 4] * 21
    together = verdict(counts, fixed=True, groups=gained + others)
    assert together.kind is not VerdictKind.BETTER
    least = clustered(gained + others)
    assert together.interval.low == pytest.approx(min(alone.interval.low, least.low))
    assert together.interval.high >= alone.interval.high
    single = [[1.0]] * 12 + [[-1.0]] * 2 + [[0.0]] * 86
    assert verdict(counts, fixed=True, groups=single) == alone
    # No flips have no spread, but they promise nothing beyond Tango's interval.
    even = PairedCounts(48, 0, 0, 0)
    flat = verdict(even, fixed=True, groups=[[0.0] * 12] * 4)
    assert flat.interval.low == pytest.approx(verdict(even, fixed=True).interval.low)
    assert verdict(even, fixed=True, groups=[[0.0] * 48]) == verdict(even, fixed=True)
    assert clustered([[0.0] * 48]) == Interval(-1.0, 1.0)


def test_a_small_gain_is_not_0_points() -> None:
    assert [points(share) for share in (0.0, 0.0002, -0.024, 0.05)] == ["0", "0.02", "2.4", "5"]


def test_no_sentence_says_that_two_lanes_are_the_same() -> None:
    for n in (0, 1, 30, 400):
        text = verdict(PairedCounts(n, 0, 0, 0), fixed=True).text
        assert "same" not in text
        assert "equal" not in text


def test_what_no_number_of_items_decides_is_not_promised() -> None:
    found = verdict(PairedCounts(70, 5, 5, 40), margin=1e-6, fixed=True)
    assert found.kind is VerdictKind.UNDECIDED
    assert found.further is None
    assert "more items" not in found.text


@pytest.mark.parametrize("fixed", [True, False])
def test_a_verdict_is_wrong_no_more_often_than_it_says(fixed: bool) -> None:
    """A lane that loses 6 points is said to lose no more than 5 in at most one of 20 cases."""
    draw = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        flips = draw.choice(3, size=300, p=[0.86, 0.04, 0.10])
        up, down = int((flips == 1).sum()), int((flips == 2).sum())
        counts = PairedCounts(0, up, down, 300 - up - down)
        found = verdict(counts, fixed=fixed, estimate=False)
        wrong += found.kind in (VerdictKind.NO_LOSS, VerdictKind.BETTER)
    assert wrong <= 10


def test_looking_after_every_item_is_wrong_no_more_often() -> None:
    draw = np.random.default_rng(1)
    wrong = 0
    for _ in range(60):
        up = down = 0
        for n, flip in enumerate(draw.choice(3, size=200, p=[0.80, 0.07, 0.13]), 1):
            up, down = up + int(flip == 1), down + int(flip == 2)
            if n % 5 == 0:
                counts = PairedCounts(0, up, down, n - up - down)
                kind = verdict(counts, fixed=False, estimate=False).kind
                if kind in (VerdictKind.NO_LOSS, VerdictKind.BETTER):
                    wrong += 1
                    break
    assert wrong <= 3
