"""The context that config.json files of real families state."""

from __future__ import annotations

import math
from typing import Any

import pytest

from playground.core.model.context import context_length

LINEAR = {"type": "linear", "factor": 4.0}


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({}, 0),
        ({"max_position_embeddings": 2048}, 2048),
        ({"max_position_embeddings": 2048.0}, 2048),
        ({"n_positions": 1024, "n_ctx": 512}, 512),
        ({"n_ctx": 256}, 256),
        ({"max_seq_len": 8192}, 8192),
        ({"max_target_positions": 448, "max_source_positions": 1500}, 448),
        ({"text_config": {"max_position_embeddings": 4096}}, 4096),
        ({"max_position_embeddings": 4096, "rope_scaling": LINEAR}, 16384),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "dynamic", "factor": 2}}, 8192),
        (
            {
                "max_position_embeddings": 32768,
                "rope_scaling": {
                    "rope_type": "yarn",
                    "factor": 4.0,
                    "original_max_position_embeddings": 32768,
                },
            },
            131072,
        ),
        # The stated number is the scaled one.
        (
            {
                "max_position_embeddings": 163840,
                "rope_scaling": {
                    "type": "yarn",
                    "factor": 40,
                    "original_max_position_embeddings": 4096,
                },
            },
            163840,
        ),
        (
            {
                "max_position_embeddings": 131072,
                "rope_scaling": {
                    "rope_type": "llama3",
                    "factor": 8.0,
                    "original_max_position_embeddings": 8192,
                },
            },
            131072,
        ),
        (
            {
                "max_position_embeddings": 131072,
                "rope_scaling": {"type": "longrope", "factor": 32.0, "short_factor": [1.0]},
            },
            131072,
        ),
        (
            {
                "model_type": "gemma3_text",
                "max_position_embeddings": 131072,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            },
            131072,
        ),
        (
            {
                "max_position_embeddings": 1000,
                "rope_parameters": {
                    "full_attention": {"rope_type": "linear", "factor": 2.5},
                    "sliding_attention": {"rope_type": "default"},
                },
            },
            2500,
        ),
        ({"max_position_embeddings": True, "n_positions": -5, "seq_length": "x"}, 0),
        ({"max_position_embeddings": 10**400, "n_ctx": math.inf, "seq_length": math.nan}, 0),
        ({"max_position_embeddings": 8, "rope_scaling": {"type": "linear", "factor": math.nan}}, 8),
        ({"max_position_embeddings": 8, "rope_scaling": {"type": "linear", "factor": "4"}}, 8),
        ({"max_position_embeddings": 8, "rope_scaling": {"type": ["linear"], "factor": 4}}, 8),
    ],
)
def test_context_length(config: dict[str, Any], context: int) -> None:
    assert context_length(config) == context
