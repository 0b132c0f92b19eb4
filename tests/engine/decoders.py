"""Small random models, and checks that a decoder's results are those of `generate`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from playground.core.choices import DecoderChoice
from playground.core.facts import Answer
from playground.core.generation import GenerationOptions
from playground.engine.cpu_step.choose_step import summation_noise
from playground.engine.decoding.decoder import Decoded, Decoder
from playground.engine.decoding.generate import GenerateDecoder
from playground.engine.serving.choose_decoder import choose_decoder

SIZES: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}
#: Models that the fused step serves.
FUSIBLE: dict[str, Callable[[], PreTrainedConfig]] = {
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
            # Initial biases are 0 and norms 1: a step that leaves one out would go unnoticed.
            if name.endswith("bias") or "norm" in name:
                parameter.uniform_(0.5, 1.5)
    model.generation_config.eos_token_id = None
    return model.eval()


def decoder_for(
    model: PreTrainedModel, choice: DecoderChoice = "auto", eos: frozenset[int] = frozenset()
) -> Decoder:
    return choose_decoder(model, eos, 2048, choice).decoder


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
        len(prompt) if reuse else 0,
    )
    return found, decoded


def prompt_of(length: int, start: int = 1) -> list[int]:
    return [(start + 7 * i) % 299 + 1 for i in range(length)]


# Greedy tokens


def generate(model: PreTrainedModel, prompt: list[int], count: int) -> list[int]:
    return ids_of(GenerateDecoder(model, frozenset()), prompt, count)[0]


def assert_greedy(
    found: Sequence[int], expected: Sequence[int], likeliest: Callable[[int], Collection[int]]
) -> None:
    """Assert that greedy tokens are the expected ones, up to the first near tie.

    `likeliest(n)` are the tokens that rounding may choose instead of `expected[n]`. After such a
    token the texts diverge, and are not compared.
    """
    for at, (ours, theirs) in enumerate(zip(found, expected, strict=False)):
        if ours != theirs:
            assert ours in likeliest(at), (at, list(found), list(expected))
            return
    assert len(found) == len(expected)


def assert_as_reference(answer: Answer, reference: dict[str, Any]) -> None:
    """Assert that an engine's answer is that of tests/engine/reference.py, by `assert_greedy`."""
    likeliest = reference["likeliest"]
    assert_greedy(answer.token_ids, reference["ids"], lambda at: likeliest[at])


def within_rounding(model: PreTrainedModel, logits: torch.Tensor, scores: torch.Tensor) -> set[int]:
    """Return the tokens that are the most likely ones within the rounding of `logits`.

    Logits and scores (logits after the processors) are [1, vocabulary].
    """
    noise = summation_noise(model, logits.to(model.dtype))
    best = scores.float().max()
    return set((scores[0].float() >= best - 2 * noise).nonzero().flatten().tolist())


def assert_as_generate(
    model: PreTrainedModel,
    prompt: list[int],
    found: list[int],
    generated: list[int] | None = None,
) -> None:
    """Assert that the tokens after the prompt are those of `generate`, by `assert_greedy`."""
    expected = generated or generate(model, prompt, len(found))

    def likeliest(at: int) -> set[int]:
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *expected[:at]]])).logits[:, -1]
        return within_rounding(model, logits, logits)

    assert_greedy(found, expected, likeliest)


def check_greedy(decoder: Decoder, model: PreTrainedModel, prompt: list[int], count: int) -> None:
    """Assert that the decoder's greedy tokens after the prompt are those of `generate`."""
    found = ids_of(decoder, prompt, count)[0]
    assert len(found) == count
    assert_as_generate(model, prompt, found)


def check_a_common_start(decoder: Decoder, model: PreTrainedModel) -> None:
    """Assert that a shared prefix is reused, and that reuse changes no token."""
    first = prompt_of(30)
    answer, decoded = ids_of(decoder, first, 10)
    assert decoded.reused == 0
    longer = [*first, *answer, *prompt_of(6, start=40)]
    again, decoded = ids_of(decoder, longer, 10, reuse=True)
    # The answer's last token was sampled, but is not in the cache.
    assert decoded.reused == 30 + 10 - 1
    assert_as_generate(model, longer, again)
    # Another conversation shares only its first tokens.
    other = [*first[:12], *prompt_of(9, start=77)]
    found, decoded = ids_of(decoder, other, 10, reuse=True)
    assert decoded.reused == 12
    assert_as_generate(model, other, found)


def check_sampling(decoder: Decoder, generate: Decoder) -> None:
    """Assert that equal seeds give equal tokens, for all kinds of processors."""
    for seed, changes in enumerate(
        [
            {},
            {"temperature": 0.7, "top_k": 20},
            {"top_k": 0, "top_p": 0.8},
            {"top_k": 0, "min_p": 0.1},
            {"repetition_penalty": 1.3, "temperature": 1.0},
            {"greedy": True, "repetition_penalty": 1.3},
        ]
    ):
        options = GenerationOptions(**{"greedy": False, "seed": seed, **changes})  # type: ignore[arg-type]
        expected = ids_of(generate, prompt_of(8), 30, options)[0]
        assert ids_of(decoder, prompt_of(8), 30, options)[0] == expected
