"""The own decode loop against transformers' generate: small models made here, real arithmetic."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from transformers import (
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
)

from playground.core.generation import GenerationOptions
from playground.core.model.kv_cache import cache_bucket
from playground.engine.serving.choose_decoder import choose_decoder
from tests.engine.decoders import (
    LEAN,
    SIZES,
    check_a_common_start,
    check_sampling,
    decoder_for,
    ids_of,
    make,
    prompt_of,
)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", list(LEAN))
def test_lean_step_chooses_what_generate_chooses(name: str, dtype: torch.dtype) -> None:
    model = make(LEAN[name](), dtype)
    own = decoder_for(model)
    assert own.name.startswith("own loop, lean step")
    generate = decoder_for(model, "generate")
    for length in (1, 17):
        prompt = prompt_of(length)
        assert ids_of(own, prompt, 40)[0] == ids_of(generate, prompt, 40)[0]


def test_other_models_keep_the_cache_and_the_forward() -> None:
    model = make(GPT2Config(vocab_size=300, n_positions=256, n_embd=64, n_layer=2, n_head=4))
    own = decoder_for(model)
    assert own.name == "own loop, kept cache"
    prompt = prompt_of(9)
    expected = ids_of(decoder_for(model, "generate"), prompt, 40)[0]
    assert ids_of(own, prompt, 40)[0] == expected
    assert ids_of(own, prompt, 40)[0] == expected


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (MistralConfig(**SIZES, sliding_window=16), "sliding"),
        (LlamaConfig(**SIZES, rope_parameters={"rope_type": "dynamic", "factor": 2.0,
                                               "rope_theta": 1e4}), "position"),
    ],
)  # fmt: skip
def test_generate_serves_the_rest_and_says_why(config: PreTrainedConfig, word: str) -> None:
    decoder, note = choose_decoder(make(config), frozenset(), 2048, "auto")
    assert decoder.name == "transformers generate"
    assert word in note


def test_buckets_grow_in_the_middle_of_a_text() -> None:
    assert [cache_bucket(n, 1500) for n in (1, 512, 513, 1025, 1500)] == [
        512, 512, 1024, 1536, 1536,
    ]  # fmt: skip
    model = make(LEAN["llama"]())
    own, generate = decoder_for(model), decoder_for(model, "generate")
    prompt = prompt_of(500)
    expected = ids_of(generate, prompt, 30)[0]
    assert ids_of(own, prompt, 30)[0] == expected
    # A shorter prompt in the grown cache, and the long one again.
    assert ids_of(own, prompt_of(5), 30)[0] == ids_of(generate, prompt_of(5), 30)[0]
    assert ids_of(own, prompt, 30)[0] == expected


def test_a_common_start_is_not_read_again() -> None:
    model = make(LEAN["llama"](), torch.float32)
    check_a_common_start(decoder_for(model), decoder_for(model, "generate"))


def test_sampling_draws_what_generate_draws() -> None:
    model = make(LEAN["qwen2"](), torch.float32)
    check_sampling(decoder_for(model), decoder_for(model, "generate"))


def test_sampled_tokens_follow_the_distribution() -> None:
    """A chi-square test of first tokens against the softmax, by its 99.9 % quantile."""
    model = make(LEAN["llama"](), torch.float32)
    own = decoder_for(model)
    prompt, draws = prompt_of(8), 600
    counts: Counter[int] = Counter()
    for seed in range(draws):
        options = GenerationOptions(greedy=False, seed=seed, temperature=1.0, top_k=5)
        counts[ids_of(own, prompt, 1, options)[0][0]] += 1
    with torch.no_grad():
        top = model(torch.tensor([prompt])).logits[0, -1].topk(5)
    expected = dict(
        zip(top.indices.tolist(), (top.values.softmax(0) * draws).tolist(), strict=True)
    )
    assert set(counts) <= set(expected)
    chi_square = sum((counts[token] - want) ** 2 / want for token, want in expected.items())
    assert chi_square < 18.47  # 4 degrees of freedom


def test_stops_are_the_same() -> None:
    model = make(LEAN["llama"]())
    prompt = prompt_of(11)
    whole = ids_of(decoder_for(model), prompt, 12)[0]
    eos = frozenset({whole[4]})
    for wanted in ("auto", "generate"):
        found, decoded = ids_of(decoder_for(model, wanted, eos), prompt, 12)
        assert (found, decoded.stop_reason) == (whole[: whole.index(whole[4]) + 1], "eos")
        free = GenerationOptions(ignore_eos=True)
        found, decoded = ids_of(decoder_for(model, wanted, eos), prompt, 12, free)
        assert (found, decoded.stop_reason) == (whole, "length")
        asked = iter(["", "", ""] * 3 + ["cancelled"] * 9)
        found, decoded = ids_of(
            decoder_for(model, wanted),
            prompt,
            12,
            should_stop=lambda asked=asked: next(asked),  # type: ignore[misc]
        )
        assert decoded.stop_reason == "cancelled"
        assert found == whole[: len(found)]


def test_an_interrupted_prompt_leaves_a_usable_cache() -> None:
    model = make(LEAN["llama"]())
    own, prompt = decoder_for(model), prompt_of(40)
    expected = ids_of(own, prompt, 10)[0]
    asked = iter(["", "cancelled"])
    found, decoded = ids_of(own, prompt_of(40, start=9), 10, should_stop=lambda: next(asked))
    assert (found, decoded.stop_reason) == ([], "cancelled")
    assert ids_of(own, prompt, 10, reuse=True)[0] == expected
