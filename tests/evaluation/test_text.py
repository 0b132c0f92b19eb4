"""Figures of scored texts, against values worked out otherwise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from playground.core.facts import VerifiedPrecision
from playground.core.precision import Precision
from playground.core.scoring import Divergence, ScoringProtocol, TextScore, joined
from playground.evaluation.text import divergence_figures, min_k_plus_plus, text_figures


def floats(*values: float) -> bytes:
    return np.array(values, np.float32).tobytes()


def divergence(*kld: float) -> Divergence:
    return Divergence(
        kld=floats(*kld),
        same_top=np.array([1, 0, 1, 1][: len(kld)], np.uint8).tobytes(),
        probability_change=floats(*[0.3, -0.4, 0.0, 0.0][: len(kld)]),
        nll_change=floats(*[0.1, 0.2, 0.3, 0.4][: len(kld)]),
    )


def score(*nll: float, text_bytes: int = 10, compared: Divergence | None = None) -> TextScore:
    zeros, ones = [0.0] * len(nll), [1.0] * len(nll)
    return TextScore(
        ids=np.arange(len(nll), dtype=np.int32).tobytes(),
        nll=floats(*nll),
        mean=floats(*zeros),
        deviation=floats(*ones),
        text_bytes=text_bytes,
        protocol=ScoringProtocol(window=8, stride=4, windows=2, bos=True),
        verified=VerifiedPrecision(precision=Precision.BF16, modules={}, bytes_by_dtype={}),
        kernel="k",
        decoder="d",
        divergence=compared,
    )


def test_perplexity_and_bits_per_byte() -> None:
    figures = text_figures(score(*[math.log(8)] * 5, text_bytes=10))
    assert figures.tokens == 5
    assert figures.perplexity == pytest.approx(8, rel=1e-6)
    # 5 tokens of 3 bits over 10 bytes.
    assert figures.bits_per_byte == pytest.approx(1.5, rel=1e-6)
    assert figures.nll == pytest.approx(5 * math.log(8), rel=1e-6)


def test_min_k_plus_plus_averages_the_lowest_fifth() -> None:
    log_p = np.array([-9.0, -7.0, *[-1.0] * 8])
    mean, deviation = np.full(10, -1.0, np.float32), np.full(10, 2.0, np.float32)
    assert min_k_plus_plus(log_p, mean, deviation) == pytest.approx(-3.5)


def test_figures_of_a_divergence() -> None:
    figures = divergence_figures(divergence(0.0, 0.1, 0.2, 0.7))
    assert figures.tokens == 4
    assert figures.mean_kld == pytest.approx(0.25)
    assert figures.median_kld == pytest.approx(0.15)
    assert figures.max_kld == pytest.approx(0.7)
    assert figures.kld_99 == pytest.approx(0.2 + 0.5 * 0.97)
    assert figures.same_top1 == 0.75
    assert figures.rms_probability_change == pytest.approx(0.25)
    assert figures.ln_ppl_ratio == pytest.approx(0.25)
    assert figures.ln_ppl_ratio_se == pytest.approx(np.std([0.1, 0.2, 0.3, 0.4], ddof=1) / 2)


def test_windows_join_to_one_score() -> None:
    first = score(1.0, 2.0, compared=divergence(0.1, 0.2))
    whole = joined([first, score(3.0, compared=divergence(0.3))])
    assert np.frombuffer(whole.nll, np.float32).tolist() == [1.0, 2.0, 3.0]
    assert whole.tokens == 3
    assert whole.divergence is not None
    assert whole.divergence.values.tolist() == pytest.approx([0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="no scores"):
        joined([])
