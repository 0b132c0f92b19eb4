"""A whole Hugging Face model of random weights, small enough to be made in a test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

VOCABULARY = 256


def tiny_model_files(
    hidden: int = 32, layers: int = 2, seed: int = 0, biases: bool = False
) -> dict[str, bytes]:
    """Return the files of a Llama with a byte-level tokenizer, by name.

    With `biases` its linear layers have biases, as Qwen2's have.
    """
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": True,
        "attention_bias": biases,
        "mlp_bias": biases,
        "dtype": "float32",
    }
    return {
        "config.json": json.dumps(config).encode(),
        "generation_config.json": b"{}",
        "model.safetensors": save(_weights(hidden, layers, seed, biases)),
        "tokenizer.json": _tokenizer().to_str().encode(),
        "tokenizer_config.json": b'{"tokenizer_class": "PreTrainedTokenizerFast"}',
    }


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write the files into a folder, which is made."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def _weights(hidden: int, layers: int, seed: int, biases: bool) -> dict[str, NDArray[np.float32]]:
    draw = np.random.default_rng(seed)
    shapes = {"model.embed_tokens.weight": (VOCABULARY, hidden), "model.norm.weight": (hidden,)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        for name in "qkvo":
            shapes[f"{prefix}.self_attn.{name}_proj.weight"] = (hidden, hidden)
        for name in ("gate", "up"):
            shapes[f"{prefix}.mlp.{name}_proj.weight"] = (2 * hidden, hidden)
        shapes[f"{prefix}.mlp.down_proj.weight"] = (hidden, 2 * hidden)
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{prefix}.{name}.weight"] = (hidden,)
    if biases:
        linear = {name: shape for name, shape in shapes.items() if name.endswith("_proj.weight")}
        shapes |= {f"{name.removesuffix('weight')}bias": (s[0],) for name, s in linear.items()}

    def values(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if name.endswith("norm.weight"):
            return np.ones(shape, np.float32)
        return (0.1 * draw.standard_normal(shape)).astype(np.float32)

    return {name: values(name, shape) for name, shape in shapes.items()}


def _tokenizer() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    model = models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[])
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
