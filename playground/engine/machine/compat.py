"""The one place that knows how transformers before version 5 differs from today's.

An engine runs there in an environment made for an old library (auto-gptq wants
transformers 4.40). Everything else is written for transformers 5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import LogitsProcessorList

from playground.core.errors import ModelError
from playground.core.generation import GenerationOptions

#: Whether transformers is one that this package is written for.
MODERN = int(transformers.__version__.partition(".")[0]) >= 5
#: What transformers 4.40 knows beside the plain rotary embedding.
_OLD_SCALINGS = {"linear", "dynamic"}
_REMEDY = "Load it in the playground's own environment."


def text_config(model: Any) -> Any:
    """The configuration of the part of the model that reads text."""
    find = getattr(model.config, "get_text_config", None)
    return find() if find else model.config


def dtype_argument(dtype: torch.dtype) -> dict[str, Any]:
    """What `from_pretrained` calls the dtype of the weights."""
    return {"dtype" if MODERN else "torch_dtype": dtype}


def chat_ids(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    """The ids of a conversation, with the start of the answer; raises what templates raise."""
    made = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=MODERN
    )
    return [int(i) for i in (made["input_ids"] if MODERN else made)]


def sampling(options: GenerationOptions) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values of a GenerationConfig that sampling needs, and arguments of `generate`.

    transformers 4.40 has no min-p and ignores the value: there all of the choosing is done by
    processors of the call, in the order that it has today.
    """
    values = {"temperature": options.temperature, "top_k": options.top_k, "top_p": options.top_p}
    if not options.min_p:
        return values, {}
    if MODERN:
        return {**values, "min_p": options.min_p}, {}
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    found = LogitsProcessorList()
    if options.temperature != 1.0:
        found.append(TemperatureLogitsWarper(options.temperature))
    if options.top_k:
        found.append(TopKLogitsWarper(options.top_k))
    if options.top_p < 1.0:
        found.append(TopPLogitsWarper(options.top_p))
    found.append(_MinP(options.min_p))
    return {"temperature": 1.0, "top_k": 0, "top_p": 1.0}, {"logits_processor": found}


class _MinP(transformers.LogitsProcessor):
    """Forbids tokens less likely than a share of the likeliest one's probability."""

    def __init__(self, share: float) -> None:
        self._share = share

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        probabilities = torch.softmax(scores, -1)
        least = self._share * probabilities.amax(-1, keepdim=True)
        return scores.masked_fill(probabilities < least, -float("inf"))


# Folders


def translated(folder: Path, texts: Mapping[str, str]) -> dict[str, str]:
    """Return the texts that files of the folder need for transformers 4.40, by file name.

    `texts` are those that other translations made already. Raises ModelError where it could
    not run the model as it is meant.
    """
    if MODERN:
        return {}
    config = _read(folder, "config.json", texts)
    found = {"config.json": json.dumps(_old_config(config))}
    settings = _read(folder, "tokenizer_config.json", texts)
    if settings.get("tokenizer_class") in ("TokenizersBackend", None):
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        found["tokenizer_config.json"] = json.dumps(settings)
    tokenizer = _read(folder, "tokenizer.json", texts)
    merges = (tokenizer.get("model") or {}).get("merges")
    if merges and isinstance(merges[0], list):
        # tokenizers 0.19 knows a pair as one string only.
        if any(" " in part for pair in merges for part in pair):
            raise ModelError(
                "The model's tokenizer needs a newer library than this environment's tokenizers.",
                _REMEDY,
            )
        tokenizer["model"]["merges"] = [" ".join(pair) for pair in merges]
        found["tokenizer.json"] = json.dumps(tokenizer)
    return found


def _old_config(config: dict[str, Any]) -> dict[str, Any]:
    """A config.json as transformers 4.40 reads it: unknown keys would be ignored silently."""
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
    head_dim = config.get("head_dim")
    if config.get("model_type") not in ("llama", "mistral", "qwen2"):
        head_dim = None
    # In these it is always the quotient.
    if head_dim and head_dim * config.get("num_attention_heads", 0) != config.get("hidden_size"):
        raise _unknown(f"heads of {head_dim} values")
    if config.get("mlp_bias"):
        raise _unknown("biases in the feed-forward layers")
    return config


def _unknown(what: str) -> ModelError:
    return ModelError(
        f"This model uses {what}, which transformers {transformers.__version__} of this "
        "environment does not know.",
        _REMEDY,
    )


def _read(folder: Path, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    path = folder / name
    text = texts.get(name) or (path.read_text("utf-8") if path.is_file() else "{}")
    value = json.loads(text)
    return value if isinstance(value, dict) else {}
