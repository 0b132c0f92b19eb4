"""Small models made here, and what every decode loop of them must do as `generate` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from playground.core.generation import GenerationOptions
from playground.engine.decoding.decoder import Decoded, Decoder
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


def check_a_common_start(own: Decoder, generate: Decoder) -> None:
    """What a conversation's turns share is not read again, and the texts are those without."""
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


def check_sampling(own: Decoder, generate: Decoder) -> None:
    """The same draws from the same seeds, whatever the processors."""
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
        assert ids_of(own, prompt_of(8), 30, options)[0] == expected
