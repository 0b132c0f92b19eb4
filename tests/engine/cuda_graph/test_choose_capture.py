"""The choice among captured steps: failing or wrong ones are left out, the fastest is taken."""

from __future__ import annotations

import pytest
import torch

from playground.engine.cuda_graph.captures import waits_for_host
from playground.engine.cuda_graph.graph_loop import GraphDecoder
from playground.engine.cuda_graph.graph_step import Capture, FixedStep, StepRunner, uncaptured
from playground.engine.decoding.decoder import Tell
from playground.engine.serving.choose_decoder import choose_decoder
from tests.engine.cuda_graph.capturing import CONTEXT, captured
from tests.engine.decoders import (
    FUSIBLE,
    check_greedy,
    make,
    prompt_of,
)


def test_where_no_capture_works_the_loop_runs_uncaptured_and_says_so() -> None:
    def fails(step: FixedStep, tell: Tell) -> StepRunner:
        raise RuntimeError("no such kernel\nand more")

    def wrong(step: FixedStep, tell: Tell) -> StepRunner:
        class Runner:
            name = "wrong"

            def __call__(self) -> None:
                step()
                step.logits.neg_()

        return Runner()

    model = make(FUSIBLE["llama"]())
    chosen = choose_decoder(model, frozenset(), CONTEXT, "auto", captures=[fails, wrong])
    assert chosen.decoder.name.startswith("cached loop, ")
    assert "no such kernel" in chosen.note
    assert "and more" not in chosen.note
    assert "differ from the model's by 200%" in chosen.note
    check_greedy(chosen.decoder, model, prompt_of(9), 10)
    chosen = choose_decoder(model, frozenset(), CONTEXT, "auto", captures=[fails, uncaptured])
    assert chosen.decoder.name == "CUDA-graph loop, not captured"
    assert "no such kernel" in chosen.note


class Named:
    """Runs the step under a name."""

    def __init__(self, name: str, step: FixedStep) -> None:
        self.name = name
        self._step = step

    def __call__(self) -> None:
        self._step()


def under_name(name: str) -> Capture:
    return lambda step, tell: Named(name, step)


def test_the_fastest_of_the_captured_steps_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(FUSIBLE["llama"]())
    seconds = {"slow": [0.3, 0.2], "quick": [0.9, 0.1]}
    monkeypatch.setattr(GraphDecoder, "time_steps", lambda self: seconds[self.name])
    told: list[str] = []
    for names in (("slow", "quick"), ("quick", "slow")):
        captures = list(map(under_name, names))
        chosen = choose_decoder(model, frozenset(), CONTEXT, "auto", told.append, captures)
        assert chosen.decoder.name == "quick"
        assert chosen.note == ""
        assert chosen.step_seconds == {"slow": 0.2, "quick": 0.1}
        assert told[-1] == "timing the captured steps"


def test_timing_leaves_a_usable_cache() -> None:
    model = make(FUSIBLE["llama"]())
    captures = [under_name("one"), under_name("other")]
    chosen = choose_decoder(model, frozenset(), CONTEXT, "auto", captures=captures)
    assert set(chosen.step_seconds) == {"one", "other"}
    assert all(seconds > 0 for seconds in chosen.step_seconds.values())
    check_greedy(chosen.decoder, model, prompt_of(9), 10)


def test_a_captured_step_that_fails_when_timed_steps_aside() -> None:
    model = make(FUSIBLE["llama"]())

    class Breaking(Named):
        runs = 0

        def __call__(self) -> None:
            self.runs += 1
            if self.runs > 3:  # the check is over
                raise RuntimeError("lost its graph")
            super().__call__()

    def breaks(step: FixedStep, tell: Tell) -> StepRunner:
        return Breaking("breaking", step)

    chosen = choose_decoder(model, frozenset(), CONTEXT, "auto", captures=[breaks, uncaptured])
    assert chosen.decoder.name == "CUDA-graph loop, not captured"
    assert "lost its graph" in chosen.note
    assert list(chosen.step_seconds) == ["CUDA-graph loop, not captured"]


def test_a_bucket_that_cannot_be_captured_runs_as_it_is() -> None:
    def small_only(step: FixedStep, tell: Tell) -> StepRunner:
        if step.cache.slots > 512:
            raise RuntimeError("too large")
        return Named("captured", step)

    model = make(FUSIBLE["llama"]())
    decoder = captured(model, capture=small_only)
    assert decoder.name == "captured"
    check_greedy(decoder, model, prompt_of(600), 5)
    assert decoder.name == "CUDA-graph loop, not captured"


def test_the_exact_int8_product_is_known_to_wait_for_the_host() -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    for threshold, waits in ((6.0, True), (0.0, False)):
        layer = bitsandbytes.nn.Linear8bitLt(
            8, 8, bias=False, has_fp16_weights=False, threshold=threshold
        )
        assert bool(waits_for_host(torch.nn.Sequential(layer))) is waits
