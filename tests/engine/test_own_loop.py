"""The own decode loop against transformers' generate: small models made here, real arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from playground.core.generation import GenerationOptions
from playground.core.kv_cache import cache_bucket
from playground.engine.choose_decoder import choose_decoder
from playground.engine.decoding import Decoded, Decoder

SIZES: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
LEAN: dict[str, Callable[[], PreTrainedConfig]] = {
    "llama": lambda: LlamaConfig(**SIZES, attention_bias=True),
    "mistral": lambda: MistralConfig(**SIZES, sliding_window=None),
    "qwen2": lambda: Qwen2Config(**SIZES, tie_word_embeddings=True),
    "qwen3": lambda: Qwen3Config(**SIZES, head_dim=32),
}


def make(config: PreTrainedConfig, dtype: torch.dtype = torch.bfloat16) -> Any:
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # As they are made, biases are 0 and norms 1: neither would be seen if left out.
            if name.endswith("bias") or "norm" in name:
                parameter.uniform_(0.5, 1.5)
    model.generation_config.eos_token_id = None
    return model.eval()


def decoder_for(model: Any, wanted: str = "auto", eos: frozenset[int] = frozenset()) -> Decoder:
    return choose_decoder(model, eos, 2048, wanted)[0]


def ids_of(
    decoder: Decoder,
    prompt: list[int],
    count: int,
    options: GenerationOptions | None = None,
    reuse: bool = False,
    should_stop: Callable[[], str] = lambda: "",
) -> tuple[list[int], Decoded]:
    found: list[int] = []
    decoded = decoder.decode(
        prompt,
        options or GenerationOptions(),
        count,
        lambda token, _: found.append(token),
        should_stop,
        reuse,
    )
    return found, decoded


def prompt_of(length: int, start: int = 1) -> list[int]:
    return [(start + 7 * i) % 299 + 1 for i in range(length)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", list(LEAN))
def test_lean_step_chooses_what_generate_chooses(name: str, dtype: torch.dtype) -> None:
    model = make(LEAN[name](), dtype)
    own = decoder_for(model)
    assert own.name == "own loop, lean step"
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
    own, generate = decoder_for(model), decoder_for(model, "generate")
    first = prompt_of(30)
    answer, decoded = ids_of(own, first, 10)
    assert decoded.reused == 0
    longer = [*first, *answer, *prompt_of(6, start=40)]
    again, decoded = ids_of(own, longer, 10, reuse=True)
    # The last token of the answer was chosen, but never read.
    assert decoded.reused == 30 + 10 - 1
    assert again == ids_of(generate, longer, 10)[0]
    # Another conversation shares its first tokens only.
    other = [*first[:12], *prompt_of(9, start=77)]
    found, decoded = ids_of(own, other, 10, reuse=True)
    assert decoded.reused == 12
    assert found == ids_of(generate, other, 10)[0]


def test_sampling_draws_what_generate_draws() -> None:
    model = make(LEAN["qwen2"](), torch.float32)
    own, generate = decoder_for(model), decoder_for(model, "generate")
    for seed, changes in enumerate(
        [
            {},
            {"temperature": 0.7, "top_k": 20},
            {"top_k": 0, "top_p": 0.8},
            {"top_k": 0, "min_p": 0.1},
            {"repetition_penalty": 1.3, "temperature": 1.0},
        ]
    ):
        options = GenerationOptions(greedy=False, seed=seed, **changes)  # type: ignore[arg-type]
        assert (
            ids_of(own, prompt_of(8), 30, options)[0]
            == ids_of(generate, prompt_of(8), 30, options)[0]
        )


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
