"""Intervals and tests against published values, and their coverage in simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from playground.evaluation.statistics import (
    Interval,
    PairedCounts,
    anytime,
    clustered_error,
    holm,
    mcnemar,
    sign_test,
    tango,
    wilson,
)


def close(found: Interval, low: float, high: float) -> None:
    assert (found.low, found.high) == pytest.approx((low, high), abs=1.5e-6)


@pytest.mark.parametrize(
    ("right", "items", "low", "high"),
    [
        (7, 10, 0.396778, 0.892209),
        (0, 10, 0.0, 0.277533),
        (50, 100, 0.403832, 0.596168),
        (660, 1319, 0.473434, 0.527322),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson(right: int, items: int, low: float, high: float) -> None:
    close(wilson(right, items), low, high)


@pytest.mark.parametrize(
    ("b", "c", "p"),
    [
        (5, 0, 0.0625),
        (9, 1, 0.021484),
        (10, 2, 0.038574),
        (12, 5, 0.143463),
        (25, 10, 0.016674),
        (130, 90, 0.008405),
        (0, 0, 1.0),
    ],
)
def test_mcnemar(b: int, c: int, p: float) -> None:
    assert mcnemar(b, c) == mcnemar(c, b) == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "difference", "low", "high"),
    [
        ((20, 10, 2, 18), 0.16, 0.028058, 0.300505),
        ((40, 0, 0, 10), 0.0, -0.071348, 0.071348),
        ((80, 5, 0, 15), 0.05, 0.011157, 0.111750),
        ((600, 130, 90, 499), 0.030326, 0.008352, 0.052559),
        ((50, 12, 5, 33), 0.07, -0.011863, 0.157416),
    ],
)
def test_tango(
    counts: tuple[int, int, int, int], difference: float, low: float, high: float
) -> None:
    paired = PairedCounts(*counts)
    assert paired.difference == pytest.approx(difference, abs=1e-6)
    close(tango(paired), low, high)


def test_tango_at_the_ends() -> None:
    assert tango(PairedCounts(0, 0, 0, 0)) == Interval(-1.0, 1.0)
    assert tango(PairedCounts(0, 5, 0, 0)).high == 1.0
    assert tango(PairedCounts(0, 0, 5, 0)).low == -1.0


@pytest.mark.parametrize(
    ("b", "c", "items", "low", "high"),
    [
        (0, 0, 50, -0.101889, 0.101889),
        (0, 0, 100, -0.052519, 0.052519),
        (0, 0, 250, -0.021401, 0.021401),
        (10, 2, 50, -0.044674, 0.380059),
        (25, 10, 250, -0.012123, 0.139186),
        (130, 90, 1319, -0.006885, 0.068353),
    ],
)
def test_anytime(b: int, c: int, items: int, low: float, high: float) -> None:
    close(anytime(b, c, items), low, high)
    mirrored = anytime(c, b, items)
    close(mirrored, -high, -low)


def test_clusters_holm_and_signs() -> None:
    groups = [[1, 1, 1], [0, 0], [1, 0, 1, 1], [0], [1, 1]]
    assert clustered_error(groups) == pytest.approx(0.181089, abs=1e-6)
    single = [[score] for group in groups for score in group]
    assert clustered_error(single) == pytest.approx(0.142134, abs=1e-6)
    assert math.isnan(clustered_error([[1, 0]]))
    assert holm([0.003, 0.02, 0.04, 0.3]) == pytest.approx([0.012, 0.06, 0.08, 0.3])
    assert holm([0.3, 0.003]) == pytest.approx([0.3, 0.006])
    assert sign_test(14, 5) == pytest.approx(0.063568, abs=1e-6)
    assert sign_test(8, 1) == pytest.approx(0.039063, abs=1e-6)


def test_the_intervals_hold_what_they_promise() -> None:
    """Of 150 comparisons with a true difference of 4 points, few intervals miss it."""
    numbers = np.random.default_rng(0)
    wrong = {"tango": 0, "anytime": 0}
    rounds, items = 150, 120
    for _ in range(rounds):
        flips = numbers.choice([1, -1, 0], size=items, p=[0.10, 0.06, 0.84])
        b, c = int((flips == 1).sum()), int((flips == -1).sum())
        interval = tango(PairedCounts(items - b - c, b, c, 0))
        wrong["tango"] += not interval.low <= 0.04 <= interval.high
        # Looked at after every thirtieth item, and stopped at the first miss.
        wrong["anytime"] += any(
            not low.low <= 0.04 <= low.high
            for n in range(30, items + 1, 30)
            for low in [anytime(int((flips[:n] == 1).sum()), int((flips[:n] == -1).sum()), n)]
        )
    assert 0.0 < wrong["tango"] / rounds < 0.1
    assert wrong["anytime"] / rounds < 0.05
