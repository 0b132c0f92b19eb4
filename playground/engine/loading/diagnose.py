"""Finds out which file of a model makes a load fail, and which value in it.

The libraries' errors name neither. So the failed part of the load is tried again, without
weights, on copies of the files that lack one value after the other.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from playground.core.errors import FileError, ModelError
from playground.core.facts import LoadRequest
from playground.core.system.reader import read_object
from playground.engine.loading.folders import mirrored, readable

log = logging.getLogger(__name__)

_CONFIG = "config.json"
_TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_DESCRIPTION = "tokenizer.json"
#: Values without which transformers does not know what to build.
_NEEDED = ("model_type", "architectures", "auto_map", "tokenizer_class", "model")
#: No further value is tried after this time: some architectures take a second each.
_BUDGET_S = 8.0
_REMEDY = "Download the model again, or correct the file."

#: Tries a part of a load on a folder; raises where it fails.
_Attempt = Callable[[Path], object]


def model_fault(request: LoadRequest) -> ModelError:
    """Return the error to show after a load failed with an error of a library."""
    fault = _unreadable(Path(request.folder))
    if fault is None and not request.trust_remote_code:
        with readable(Path(request.folder)) as folder:
            fault = (
                _wrong_value(folder, "generation_config.json", GenerationConfig.from_pretrained)
                or _wrong_value(folder, _CONFIG, AutoConfig.from_pretrained)
                or _wrong_value(folder, _CONFIG, _run_without_weights)
            )
    return fault or ModelError(
        "The model's files do not fit together: its weights cannot be run as config.json says.",
        "Download the model again, or choose another one.",
    )


def tokenizer_fault(folder: Path, *, trust: bool) -> ModelError:
    """Return the error to show after a tokenizer failed to load."""
    fault = _unreadable(folder)
    if fault is None and (folder / _DESCRIPTION).is_file() and _fails(_read_tokenizer, folder):
        fault = _wrong_value(folder, _DESCRIPTION, _read_tokenizer) or ModelError(
            f"{_DESCRIPTION} is damaged: it describes no tokenizer that can be used.", _REMEDY
        )
    if fault is None and not trust:
        # A tokenizer's class is looked up in the config.
        fault = _wrong_value(folder, _CONFIG, AutoConfig.from_pretrained)
        for name in _TOKENIZER:
            fault = fault or _wrong_value(folder, name, _load_tokenizer)
    return fault or ModelError(
        "The model's tokenizer cannot be loaded.",
        "Add the tokenizer files of the model it was made from, or download them again.",
    )


def _unreadable(folder: Path) -> ModelError | None:
    """Return the error for the first file that is no JSON object, or no safetensors."""
    for name in (_CONFIG, "generation_config.json", *_TOKENIZER, _DESCRIPTION):
        path = folder / name
        try:
            if path.exists() and name == _DESCRIPTION:
                json.loads(path.read_bytes())  # large, and read by the tokenizer's library
            elif path.exists():
                read_object(path)
        except FileError as error:
            return error
        except (OSError, ValueError, RecursionError):
            return FileError(name, "is damaged: it is no JSON")
    for path in sorted(folder.glob("*.safetensors")):
        if _fails(lambda p: safe_open(p, "pt"), path):
            return ModelError(
                f"The model's weights are damaged: safetensors cannot read {path.name}.",
                "Download the model again, or choose another one.",
            )
    return None


def _wrong_value(folder: Path, name: str, attempt: _Attempt) -> ModelError | None:
    """Return the error for the value of a JSON file with which an attempt fails.

    None where the attempt does not fail, or fails for another reason than this file.
    """
    path = folder / name
    if not path.is_file() or not _fails(attempt, folder):
        return None
    values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    kept = {key: value for key, value in values.items() if key in _NEEDED}
    until = time.monotonic() + _BUDGET_S
    for key in [key for key in values if key not in kept]:
        if time.monotonic() > until:
            break
        without = {other: value for other, value in values.items() if other != key}
        if not _fails_with(attempt, folder, name, without):
            shown = json.dumps(values[key], ensure_ascii=False)
            shown = shown if len(shown) <= 60 else f"{shown[:57]}…"
            return ModelError(
                f"{name} is damaged: its value of {key!r:.60} cannot be used: {shown}.", _REMEDY
            )
    if _fails_with(attempt, folder, name, kept):
        return None
    return ModelError(f"{name} is damaged: several of its values cannot be used.", _REMEDY)


def _fails_with(attempt: _Attempt, folder: Path, name: str, values: Mapping[str, Any]) -> bool:
    with mirrored(folder, {name: json.dumps(values)}) as mirror:
        return _fails(attempt, mirror)


def _fails(attempt: Callable[[Path], object], path: Path) -> bool:
    try:
        attempt(path)
    except BaseException as error:  # Rust's panics are no Exception
        log.debug("%s fails on %s: %r", attempt, path, error)
        return True
    return False


def _read_tokenizer(folder: Path) -> None:
    Tokenizer.from_file(str(folder / _DESCRIPTION))


def _load_tokenizer(folder: Path) -> None:
    AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _run_without_weights(folder: Path) -> None:
    """Run the model on torch's meta device, where tensors have shapes and no values."""
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"), torch.no_grad():
        model = AutoModelForCausalLM.from_config(config)
        model(input_ids=torch.zeros((1, 4), dtype=torch.long), use_cache=False)
