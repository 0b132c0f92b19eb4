"""The floor of a token is the bytes of its step over the bandwidth."""

from __future__ import annotations

import statistics

import msgspec
import pytest

from playground.core.floor import Floor
from playground.core.trace import LatencyTrace

FLOOR = Floor(weight_bytes=1_000_000, cache_bytes=2_000, bandwidth=1e9)


def test_a_step_reads_the_weights_and_the_cache_at_its_length() -> None:
    assert FLOOR.step_bytes(0) == 1_000_000
    assert FLOOR.step_bytes(500) == 2_000_000
    assert FLOOR.step_s(500) == pytest.approx(2e-3)
    # The second token's step is the first one's: the prompt and itself are in the cache.
    assert FLOOR.token_ms(prompt_tokens=499, token=2) == pytest.approx(2.0)


def test_layers_with_a_sliding_window_stop_growing() -> None:
    floor = msgspec.structs.replace(FLOOR, window_bytes=1_000, window=100)
    assert floor.step_bytes(100) == 1_000_000 + 200_000 + 100_000
    assert floor.step_bytes(300) == 1_000_000 + 600_000 + 100_000


@pytest.mark.parametrize("tokens", [2, 3, 10, 11])
def test_the_median_floor_is_that_of_the_middle_gap(tokens: int) -> None:
    gaps = [FLOOR.token_ms(20, token) for token in range(2, tokens + 1)]
    assert FLOOR.median_ms(20, tokens) == pytest.approx(statistics.median(gaps))


def test_the_fraction_reached_is_floor_over_median_latency() -> None:
    trace = LatencyTrace([0.1, 0.102, 0.104, 0.106])
    figures = trace.figures(5, 0.1, FLOOR, cached_tokens=8)
    assert figures.floor_ms == pytest.approx(1.02)
    assert figures.of_floor == pytest.approx(1.02 / 2)
    assert trace.figures(5, 0.1).of_floor is None
    assert LatencyTrace([0.1]).figures(floor=FLOOR).of_floor is None
