"""A model's context is where its positions end: up to there it generates, whatever its kind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BioGptConfig,
    BloomConfig,
    CTRLConfig,
    GPT2Config,
    GPTJConfig,
    LlamaConfig,
    MptConfig,
    OPTConfig,
    PreTrainedConfig,
    RobertaConfig,
)

from playground.core.generation import GenerationOptions
from playground.core.model.context import context_length
from playground.engine.decoding.generate import GenerateDecoder
from playground.engine.loading.positions import true_context
from tests.engine.decoders import ids_of

SMALL: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
GPT: dict[str, Any] = {"vocab_size": 60, "n_embd": 32, "n_layer": 1, "n_head": 2}
CONFIGS: dict[str, tuple[PreTrainedConfig, int]] = {
    "llama, linear": (
        LlamaConfig(
            **SMALL,
            max_position_embeddings=16,
            rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4},
        ),
        32,
    ),
    "llama, dynamic": (
        LlamaConfig(
            **SMALL,
            max_position_embeddings=16,
            rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4},
        ),
        32,
    ),
    "llama, yarn": (
        LlamaConfig(
            **SMALL,
            max_position_embeddings=16,
            rope_parameters={"rope_type": "yarn", "factor": 2.0, "rope_theta": 1e4},
        ),
        32,
    ),
    "gpt2": (GPT2Config(**GPT, n_positions=24), 24),
    "gptj": (GPTJConfig(**GPT, n_positions=24, rotary_dim=8), 24),
    "ctrl": (CTRLConfig(**GPT, dff=32, n_positions=24), 24),
    "opt": (OPTConfig(**SMALL, ffn_dim=32, word_embed_proj_dim=32, max_position_embeddings=24), 24),
    "biogpt": (BioGptConfig(**SMALL, max_position_embeddings=24), 24),
    "mpt": (
        MptConfig(
            vocab_size=60, d_model=32, n_layers=1, n_heads=2, max_seq_len=24, expansion_ratio=1
        ),
        24,
    ),
    # Its table begins with two rows for padding.
    "roberta": (RobertaConfig(**SMALL, max_position_embeddings=24, is_decoder=True), 22),
    "bloom": (BloomConfig(vocab_size=60, hidden_size=32, n_layer=1, n_head=2), 0),
}


@pytest.mark.parametrize("name", list(CONFIGS))
@pytest.mark.parametrize("stated", [True, False], ids=["stated", "by default"])
def test_a_model_generates_to_the_end_of_its_context(name: str, stated: bool) -> None:
    config, expected = CONFIGS[name]
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    context = true_context(model, context_length(config.to_dict()) if stated else 0)
    assert context == expected
    end = context or 40
    found, decoded = ids_of(
        GenerateDecoder(model, frozenset()), [3, 4, 5, 6], end - 4, GenerationOptions()
    )
    assert (len(found), decoded.stop_reason) == (end - 4, "length")
