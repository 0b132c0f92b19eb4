"""Figures of a scored text: perplexity, bits per byte, and the divergence from a reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from playground.core.scoring import Divergence, TextScore, perplexity

#: The share of the least likely tokens that Min-K%++ averages over.
MIN_K = 0.2
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DivergenceFigures:
    """How far a lane's distributions are from the reference's, over `tokens` tokens.

    KL divergences are in nats. `ln_ppl_ratio` is the mean difference of the negative
    log-likelihoods, ln(perplexity ÷ the reference's), `ln_ppl_ratio_se` its standard error.
    `rms_probability_change` is the root of the mean square of p_lane − p_reference.
    """

    tokens: int
    mean_kld: float
    median_kld: float
    kld_99: float
    kld_99_9: float
    max_kld: float
    same_top1: float
    rms_probability_change: float
    ln_ppl_ratio: float
    ln_ppl_ratio_se: float


@dataclass(frozen=True)
class TextFigures:
    """The figures of one lane. `nll` is the sum in nats; `bits_per_byte` also compares models.

    `min_k_plus_plus` is Min-K%++ (Zhang et al. 2024, arXiv 2404.02936) with k = MIN_K: the
    mean of the lowest (log p(x) − μ)/σ. It is relative: it proves nothing by itself.
    """

    tokens: int
    text_bytes: int
    nll: float
    perplexity: float
    bits_per_byte: float
    min_k_plus_plus: float


def text_figures(score: TextScore) -> TextFigures:
    """Return the figures of a whole text's score."""
    nll = np.frombuffer(score.nll, np.float32)
    mean, deviation = (np.frombuffer(v, np.float32) for v in (score.mean, score.deviation))
    total = float(nll.sum(dtype=np.float64))
    return TextFigures(
        tokens=len(nll),
        text_bytes=score.text_bytes,
        nll=total,
        perplexity=perplexity(nll),
        bits_per_byte=total / (math.log(2) * score.text_bytes) if score.text_bytes else math.nan,
        min_k_plus_plus=min_k_plus_plus(-nll.astype(np.float64), mean, deviation),
    )


def min_k_plus_plus(
    log_p: Floats, mean: NDArray[np.float32], deviation: NDArray[np.float32], k: float = MIN_K
) -> float:
    """Return the mean of the lowest k of (log p − μ)/σ; arrays of shape [tokens]."""
    scores = (log_p - mean) / np.maximum(deviation, 1e-6)
    count = max(1, int(len(scores) * k))
    return float(np.sort(scores)[:count].mean())


def divergence_figures(divergence: Divergence) -> DivergenceFigures:
    """Return the figures of a comparison."""
    kld = divergence.values.astype(np.float64)
    same = np.frombuffer(divergence.same_top, np.uint8)
    probability = np.frombuffer(divergence.probability_change, np.float32).astype(np.float64)
    change = np.frombuffer(divergence.nll_change, np.float32).astype(np.float64)
    spread = float(change.std(ddof=1)) if len(change) > 1 else math.nan
    median, high, higher = (float(v) for v in np.percentile(kld, (50, 99, 99.9)))
    return DivergenceFigures(
        tokens=len(kld),
        mean_kld=float(kld.mean()),
        median_kld=median,
        kld_99=high,
        kld_99_9=higher,
        max_kld=float(kld.max()),
        same_top1=float(same.mean()),
        rms_probability_change=float(np.sqrt(np.mean(probability**2))),
        ln_ppl_ratio=float(change.mean()),
        ln_ppl_ratio_se=spread / math.sqrt(len(change)),
    )
