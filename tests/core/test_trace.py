"""The figures of a token stream follow FORMULAS."""

from __future__ import annotations

import numpy as np
import pytest

from playground.core.trace import FORMULAS, LatencyFigures, LatencyTrace


def test_figures_follow_their_formulas() -> None:
    trace = LatencyTrace([0.5, 0.6, 0.8, 1.1])
    figures = trace.figures(prompt_tokens=20, prefill_s=0.4)
    assert figures.tokens == 4
    assert figures.ttft_s == pytest.approx(0.5)
    assert trace.inter_token_ms == pytest.approx([100, 200, 300])
    assert figures.p50_ms == pytest.approx(200)
    assert figures.p95_ms == pytest.approx(np.percentile([100, 200, 300], 95))
    assert figures.decode_tok_s == pytest.approx(3 / 0.6)
    assert figures.prefill_tok_s == pytest.approx(50)
    assert figures.end_to_end_s == pytest.approx(1.1)


def test_figures_that_are_not_defined_yet_are_none() -> None:
    assert LatencyTrace().figures() == LatencyFigures()
    one = LatencyTrace([0.25]).figures()
    assert (one.tokens, one.ttft_s, one.end_to_end_s) == (1, 0.25, 0.25)
    assert one.p50_ms is None
    assert one.decode_tok_s is None
    assert one.prefill_tok_s is None


def test_appending_in_batches_equals_one_batch() -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(0.001, 0.02, 5000))
    whole = LatencyTrace(times.tolist())
    pieces = LatencyTrace()
    for start in range(0, len(times), 7):
        pieces.extend(times[start : start + 7].tolist())
    assert len(pieces) == 5000
    assert np.array_equal(pieces.times, whole.times)
    assert pieces.inter_token_ms == pytest.approx(np.diff(times) * 1e3)
    assert pieces.figures() == whole.figures()


def test_every_formula_of_the_help_names_a_figure() -> None:
    assert {"TTFT", "inter-token latency", "decode tokens/s", "end to end"} <= set(FORMULAS)
