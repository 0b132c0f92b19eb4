"""The KV cache that a config.json lets expect is the one that transformers fills."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from playground.core.model.kv_cache import cache_shape
from tests.engine.architectures import make, write

TOKENS = 20


def stored(model: Any) -> int:
    """Return how many numbers transformers' cache holds after TOKENS tokens, states left out."""
    with torch.no_grad():
        output = model(torch.arange(TOKENS)[None], use_cache=True)
    cache = getattr(output, "past_key_values", None) or output.cache
    states = [(getattr(layer, "keys", None), layer.values) for layer in cache.layers
              if hasattr(layer, "values")]  # fmt: skip
    return sum(k.numel() + v.numel() for k, v in states if k is not None and k.dim() == 4)


@pytest.mark.parametrize(
    "name",
    ["llama", "gpt_bigcode", "falcon", "falcon new", "deepseek_v3", "jamba", "lfm2", "qwen3_next",
     "granitemoehybrid", "bamba", "nemotron_h"],
)  # fmt: skip
def test_layers_without_attention_take_nothing(name: str, tmp_path: Path) -> None:
    model = make(name, seed=0)
    config = json.loads((write(model, tmp_path / "model") / "config.json").read_text())
    shape = cache_shape(config)
    assert shape is not None
    assert shape.read_bytes(TOKENS, 1) == stored(model)
    attends_in_part = ("jamba", "lfm2", "qwen3_next", "granitemoehybrid", "bamba", "nemotron_h")
    assert shape.hybrid is (name in attends_in_part)
    assert shape.buckets is not shape.hybrid
