"""The cached loop against transformers' generate: small models made here, real arithmetic."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
import torch
from transformers import (
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
)

from playground.core.choices import DecoderChoice
from playground.core.generation import GenerationOptions
from playground.core.model.kv_cache import cache_bucket
from playground.engine.cpu_step.choose_step import Trial, fused_steps
from playground.engine.cpu_step.step import FusedStep
from playground.engine.decoding import fastest as fastest_module
from playground.engine.decoding.cached_loop import CachedDecoder, ForwardStep
from playground.engine.decoding.kept_choice import keep_choice, kept_choice
from playground.engine.serving.choose_decoder import choose_decoder
from playground.engine.serving.runtime import warm_up
from tests.engine.decoders import (
    FUSIBLE,
    SIZES,
    assert_as_generate,
    check_a_common_start,
    check_greedy,
    check_sampling,
    decoder_for,
    ids_of,
    make,
    prompt_of,
)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", list(FUSIBLE))
def test_every_fused_step_chooses_what_generate_chooses(name: str, dtype: torch.dtype) -> None:
    model = make(FUSIBLE[name](), dtype)
    steps = fused_steps(model, 2048)
    assert steps[0].name == "fused step"
    forward = ForwardStep(model)
    trial = Trial(model, 2048, forward)
    for step in steps:
        assert len(trial(step)) == 3, "logits agree within rounding"
        decoder = CachedDecoder(model, frozenset(), 2048, step)
        assert decoder.name == f"cached loop, {step.name}"
        for length in (1, 17):
            check_greedy(decoder, model, prompt_of(length), 40)


def test_the_chosen_step_is_one_of_those_that_were_timed() -> None:
    model = make(FUSIBLE["llama"]())
    chosen = choose_decoder(model, frozenset(), 2048, "auto")
    names = [step.name for step in fused_steps(model, 2048)]
    assert list(chosen.step_seconds) == ["model's forward", *names]
    assert all(seconds > 0 for seconds in chosen.step_seconds.values())
    assert chosen.decoder.name.removeprefix("cached loop, ") in chosen.step_seconds
    assert chosen.note == ""
    check_greedy(chosen.decoder, model, prompt_of(9), 40)


def test_a_later_load_takes_the_same_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYGROUND_HOME", str(tmp_path))
    model = make(FUSIBLE["llama"]())
    first = choose_decoder(model, frozenset(), 2048, "auto", key="m").decoder.name
    assert f"cached loop, {kept_choice('m')}" == first
    monkeypatch.setattr(fastest_module, "_STEADY", 1e9)
    for name in ("fused step", "model's forward"):
        keep_choice("m", name)
        chosen = choose_decoder(model, frozenset(), 2048, "auto", key="m")
        assert chosen.decoder.name == f"cached loop, {name}"


def fails(*_: object) -> None:
    raise RuntimeError("it does not run here\nfor many reasons")


def test_a_fused_step_that_cannot_be_built_steps_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FusedStep, "__init__", fails)
    chosen = choose_decoder(make(FUSIBLE["llama"]()), frozenset(), 2048, "auto")
    assert chosen.decoder.name == "cached loop, model's forward"
    assert chosen.note == "The fused step is not used: it does not run here."


def test_a_fused_step_that_fails_steps_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FusedStep, "__call__", fails)
    chosen = choose_decoder(make(FUSIBLE["llama"]()), frozenset(), 2048, "auto")
    assert chosen.decoder.name == "cached loop, model's forward"
    assert "The fused step is not used: it does not run here." in chosen.note


def test_without_a_cached_loop_generate_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(FUSIBLE["llama"]())
    monkeypatch.setattr(ForwardStep, "read", fails)
    chosen = choose_decoder(model, frozenset(), 2048, "auto")
    assert chosen.decoder.name == "transformers generate"
    assert "it does not run here." in chosen.note
    assert len(ids_of(chosen.decoder, prompt_of(9), 5)[0]) == 5


def test_a_context_too_short_to_try_takes_the_forward() -> None:
    chosen = choose_decoder(make(FUSIBLE["llama"]()), frozenset(), 14, "auto")
    assert chosen.decoder.name == "cached loop, model's forward"
    assert chosen.step_seconds == {}


@pytest.mark.parametrize("context", [1, 2, 14])
def test_the_warm_up_of_a_load_fits_a_short_context(context: int) -> None:
    model = make(FUSIBLE["llama"]())
    for choice in get_args(DecoderChoice):
        decoder = choose_decoder(model, frozenset(), context, choice).decoder
        warm_up(decoder, 300, context, 8)


def test_other_models_keep_the_cache_and_the_forward() -> None:
    model = make(GPT2Config(vocab_size=300, n_positions=256, n_embd=64, n_layer=2, n_head=4))
    decoder = decoder_for(model)
    assert decoder.name == "cached loop, model's forward"
    prompt = prompt_of(9)
    check_greedy(decoder, model, prompt, 40)
    assert ids_of(decoder, prompt, 40)[0] == ids_of(decoder, prompt, 40)[0]


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (MistralConfig(**SIZES, sliding_window=16), "sliding"),
        (LlamaConfig(**SIZES, rope_parameters={"rope_type": "dynamic", "factor": 2.0,
                                               "rope_theta": 1e4}), "position"),
    ],
)  # fmt: skip
def test_generate_serves_the_rest_and_says_why(config: PreTrainedConfig, word: str) -> None:
    chosen = choose_decoder(make(config), frozenset(), 2048, "auto")
    assert chosen.decoder.name == "transformers generate"
    assert word in chosen.note


def test_buckets_grow_in_the_middle_of_a_text() -> None:
    assert [cache_bucket(n, 1500) for n in (1, 512, 513, 1025, 1500)] == [
        512, 512, 1024, 1536, 1536,
    ]  # fmt: skip
    model = make(FUSIBLE["llama"]())
    decoder = decoder_for(model)
    prompt = prompt_of(500)
    found = ids_of(decoder, prompt, 30)[0]
    assert_as_generate(model, prompt, found)
    # A shorter prompt in the grown cache, and the long one again.
    check_greedy(decoder, model, prompt_of(5), 30)
    assert ids_of(decoder, prompt, 30)[0] == found


def test_a_common_start_is_not_read_again() -> None:
    model = make(FUSIBLE["llama"](), torch.float32)
    check_a_common_start(decoder_for(model), model)


def test_sampling_draws_what_generate_draws() -> None:
    model = make(FUSIBLE["qwen2"](), torch.float32)
    check_sampling(decoder_for(model), decoder_for(model, "generate"))


def test_sampled_tokens_follow_the_distribution() -> None:
    """A chi-square test of first tokens against the softmax, by its 99.9 % quantile."""
    model = make(FUSIBLE["llama"](), torch.float32)
    decoder = decoder_for(model)
    prompt, draws = prompt_of(8), 600
    counts: Counter[int] = Counter()
    for seed in range(draws):
        options = GenerationOptions(greedy=False, seed=seed, temperature=1.0, top_k=5)
        counts[ids_of(decoder, prompt, 1, options)[0][0]] += 1
    with torch.no_grad():
        top = model(torch.tensor([prompt])).logits[0, -1].topk(5)
    expected = dict(
        zip(top.indices.tolist(), (top.values.softmax(0) * draws).tolist(), strict=True)
    )
    assert set(counts) <= set(expected)
    chi_square = sum((counts[token] - want) ** 2 / want for token, want in expected.items())
    assert chi_square < 18.47  # 4 degrees of freedom


def test_stops_are_the_same() -> None:
    model = make(FUSIBLE["llama"](), torch.float32)
    prompt = prompt_of(11)
    whole = ids_of(decoder_for(model), prompt, 12)[0]
    eos = frozenset({whole[4]})
    for choice in get_args(DecoderChoice):
        found, decoded = ids_of(decoder_for(model, choice, eos), prompt, 12)
        assert (found, decoded.stop_reason) == (whole[: whole.index(whole[4]) + 1], "eos")
        free = GenerationOptions(ignore_eos=True)
        found, decoded = ids_of(decoder_for(model, choice, eos), prompt, 12, free)
        assert (found, decoded.stop_reason) == (whole, "length")
        asked = iter(["", "", ""] * 3 + ["cancelled"] * 9)
        found, decoded = ids_of(
            decoder_for(model, choice),
            prompt,
            12,
            should_stop=lambda asked=asked: next(asked),  # type: ignore[misc]
        )
        assert decoded.stop_reason == "cancelled"
        assert found == whole[: len(found)]


def test_an_interrupted_prompt_leaves_a_usable_cache() -> None:
    model = make(FUSIBLE["llama"]())
    decoder, prompt = decoder_for(model), prompt_of(40)
    expected = ids_of(decoder, prompt, 10)[0]
    asked = iter(["", "cancelled"])
    found, decoded = ids_of(decoder, prompt_of(40, start=9), 10, should_stop=lambda: next(asked))
    assert (found, decoded.stop_reason) == ([], "cancelled")
    assert ids_of(decoder, prompt, 10, reuse=True)[0] == expected
