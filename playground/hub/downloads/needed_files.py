"""Chooses which of a repository's files loading the model needs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from playground.core.errors import ModelError

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
_SMALL = re.compile(
    r"[^/\\:]+\.(json|model|tiktoken|jinja|py)|(merges|vocab)\.txt"
    r"|additional_chat_templates/[^/\\:]+"
)
_OTHER_WEIGHTS = re.compile(r".+\.index\.json")
_NOT_NEEDED = frozenset(
    {"trainer_state.json", "all_results.json", "train_results.json", "eval_results.json"}
)
_PICKLE = re.compile(r"[^/]+\.(bin|pt|pth|ckpt|pkl)")


def needed_files(id_: str, names: Iterable[str]) -> list[str]:
    """Return the names of the safetensors, configuration, tokenizer, template and code files.

    The same weights in other formats and in subfolders are left out. A model's code is
    downloaded, but never run without the user's consent. Raises ModelError where the files make
    no model that can be loaded.
    """
    files = set(names)
    weights = _weights(files)
    if "config.json" not in files:
        raise ModelError(
            f"{id_} is not a model that can be loaded. {_without_config(files)}", _OTHER
        )
    if not weights:
        raise ModelError(f"{id_} has no safetensors weights. {_without_weights(files)}", _OTHER)
    small = {
        name
        for name in files
        if _SMALL.fullmatch(name)
        and name not in _NOT_NEEDED
        and not (_OTHER_WEIGHTS.fullmatch(name) and name != _INDEX)
    }
    if _SINGLE in weights:
        small.discard(_INDEX)
    return sorted(small | weights)


_OTHER = "Choose another repository of the model, one with config.json and *.safetensors files."


def _weights(files: set[str]) -> set[str]:
    if _SINGLE in files:
        return {_SINGLE}
    shards = {name for name in files if _SHARD.fullmatch(name)}
    if shards:
        return shards
    # Quantized weights have other names (gptq_model-4bit-128g.safetensors).
    return {
        name
        for name in files
        if "/" not in name
        and name.endswith(".safetensors")
        and not name.startswith(("consolidated", "adapter_"))
    }


def _without_config(files: set[str]) -> str:
    if "adapter_config.json" in files:
        return "It is an adapter (LoRA) to another model."
    if any(name.endswith(".gguf") for name in files):
        return "It has GGUF files, which are for llama.cpp."
    return "It has no config.json."


def _without_weights(files: set[str]) -> str:
    if any(_PICKLE.fullmatch(name) for name in files):
        return "It has pickled weights only, which can run code when they are loaded."
    if any(name.endswith(".gguf") for name in files):
        return "It has GGUF files, which are for llama.cpp."
    return "It has no weights at all."
