"""Bridges the differences between transformers 5 and 4.40, which the original auto-gptq needs.

An engine in the auto-gptq environment runs on transformers 4.40. All other modules are written
for transformers 5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from transformers import (
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from playground.core.errors import ModelError
from playground.core.generation import GenerationOptions
from playground.core.system.reader import TABLE_BYTES, parse_object, read_object

#: Whether transformers is at version 5 or later.
MODERN = int(transformers.__version__.partition(".")[0]) >= 5
#: The position scalings that transformers 4.40 knows.
_OLD_SCALINGS = {"linear", "dynamic"}
_REMEDY = "Load it in the playground's own environment."


def text_config(model: PreTrainedModel) -> PretrainedConfig:
    """Return the configuration of the part of the model that reads text."""
    return model.config.get_text_config() if MODERN else model.config


def dtype_argument(dtype: torch.dtype) -> dict[str, torch.dtype]:
    """Return the keyword argument of `from_pretrained` for the dtype of the weights."""
    return {"dtype" if MODERN else "torch_dtype": dtype}


def chat_ids(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> list[int]:
    """Return the ids of a conversation and the generation prompt. Raises what templates raise."""
    encoded: Any = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=MODERN
    )
    return [int(i) for i in (encoded["input_ids"] if MODERN else encoded)]


class SamplingArguments(NamedTuple):
    """Sampling options for a GenerationConfig, and as further logits processors."""

    config: dict[str, Any]
    processors: list[transformers.LogitsProcessor]


def sampling(options: GenerationOptions) -> SamplingArguments:
    """Return the sampling options for `generate`.

    transformers 4.40 ignores min-p: there, logits processors implement all options, in the order
    of transformers 5.
    """
    values = {"temperature": options.temperature, "top_k": options.top_k, "top_p": options.top_p}
    if not options.min_p:
        return SamplingArguments(values, [])
    if MODERN:
        return SamplingArguments({**values, "min_p": options.min_p}, [])
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    found: list[transformers.LogitsProcessor] = []
    if options.temperature != 1.0:
        found.append(TemperatureLogitsWarper(options.temperature))
    if options.top_k:
        found.append(TopKLogitsWarper(options.top_k))
    if options.top_p < 1.0:
        found.append(TopPLogitsWarper(options.top_p))
    found.append(_MinP(options.min_p))
    off = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    return SamplingArguments(off, found)


class _MinP(transformers.LogitsProcessor):
    """Removes tokens whose probability is below `share` times the largest one."""

    def __init__(self, share: float) -> None:
        self._share = share

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        probabilities = torch.softmax(scores, -1)
        least = self._share * probabilities.amax(-1, keepdim=True)
        return scores.masked_fill(probabilities < least, -float("inf"))


# Folders


def translated(folder: Path, texts: Mapping[str, str]) -> dict[str, str]:
    """Return new texts, by file name, for files that transformers 4.40 cannot read.

    `texts` are the results of earlier translations. Raises ModelError if transformers 4.40 would
    compute something else than the model specifies.
    """
    if MODERN:
        return {}
    config = _read(folder, "config.json", texts)
    found = {"config.json": json.dumps(_old_config(config))}
    tokenizer_config = _read(folder, "tokenizer_config.json", texts)
    if tokenizer_config.get("tokenizer_class") in ("TokenizersBackend", None):
        tokenizer_config["tokenizer_class"] = "PreTrainedTokenizerFast"
        found["tokenizer_config.json"] = json.dumps(tokenizer_config)
    tokenizer = _read(folder, "tokenizer.json", texts)
    merges = (tokenizer.get("model") or {}).get("merges")
    if merges and isinstance(merges[0], list):
        # tokenizers 0.19 reads a pair only as one string.
        if any(" " in part for pair in merges for part in pair):
            raise ModelError(
                "The model's tokenizer needs a newer library than this environment's tokenizers.",
                _REMEDY,
            )
        tokenizer["model"]["merges"] = [" ".join(pair) for pair in merges]
        found["tokenizer.json"] = json.dumps(tokenizer)
    return found


def _old_config(config: dict[str, Any]) -> dict[str, Any]:
    """Translate a config.json for transformers 4.40, which ignores unknown keys silently."""
    config = dict(config)
    if "dtype" in config:
        config.setdefault("torch_dtype", config.pop("dtype"))
    rope = config.pop("rope_parameters", None)
    if isinstance(rope, dict):
        if any(isinstance(value, dict) for value in rope.values()):
            raise _unknown("several position scalings")
        if "rope_theta" in rope:
            config["rope_theta"] = rope["rope_theta"]
        if (kind := rope.get("rope_type", "default")) != "default":
            config["rope_scaling"] = {"type": kind, "factor": rope.get("factor")}
    scaling = config.get("rope_scaling")
    if isinstance(scaling, dict):
        kind = scaling.get("type") or scaling.get("rope_type")
        if kind not in _OLD_SCALINGS:
            raise _unknown(f"the position scaling {kind!r}")
        config["rope_scaling"] = {"type": kind, "factor": scaling.get("factor")}
    # For these architectures transformers 4.40 ignores `head_dim`, and divides the hidden size.
    if config.get("model_type") in ("llama", "mistral", "qwen2"):
        head_dim, heads = config.get("head_dim"), config.get("num_attention_heads", 0)
        if head_dim and head_dim * heads != config.get("hidden_size"):
            raise _unknown(f"heads of {head_dim} values")
    if config.get("mlp_bias"):
        raise _unknown("biases in the feed-forward layers")
    return config


def _unknown(what: str) -> ModelError:
    return ModelError(
        f"This model uses {what}, which this environment's transformers "
        f"{transformers.__version__} does not know.",
        _REMEDY,
    )


def _read(folder: Path, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    path = folder / name
    if name in texts:
        return parse_object(texts[name].encode(), name)
    return read_object(path, TABLE_BYTES) if path.is_file() else {}
