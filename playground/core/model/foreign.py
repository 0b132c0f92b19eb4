"""Leaves out what a model's folder asks for that is not in it: kernels of the Hub, adapters.

transformers would fetch and run a kernel that config.json names, and apply an adapter as soon as
the library peft is installed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playground.core.system.reader import parse_object, read_object

CONFIG = "config.json"
ADAPTER = "adapter_config.json"
#: The keys that choose an implementation, and those values for which transformers has the code.
_OWN: dict[str, frozenset[object]] = {
    "attn_implementation": frozenset({"eager", "sdpa", None}),
    "experts_implementation": frozenset({"eager", "batched_mm", "grouped_mm", None}),
}


def notes(folder: Path) -> list[str]:
    """Return what is left out of a folder, for the user."""
    found = [
        f"config.json asks for the {key} {name!r:.80}, which is not used: the model is computed "
        "with what transformers has itself."
        for key, name in implementations(folder)
    ]
    if (folder / ADAPTER).exists():
        found.append("The folder has an adapter (LoRA), which is not applied.")
    return found


def implementations(folder: Path) -> list[tuple[str, object]]:
    """Return key and name of each implementation that is left out. Raises FileError."""
    return _all_foreign(read_object(folder / CONFIG))


def without_implementations(folder: Path, texts: Mapping[str, str]) -> dict[str, str]:
    """Return config.json without the implementations that transformers would fetch, by its name.

    Empty where it names none. `texts` are the results of earlier translations.
    """
    text = texts.get(CONFIG)
    config = parse_object(text.encode(), CONFIG) if text else read_object(folder / CONFIG)
    return {CONFIG: json.dumps(_cleaned(config))} if _all_foreign(config) else {}


def _foreign(key: str, value: object) -> list[object]:
    """Return the names that an entry of a config gives to implementations of elsewhere."""
    known = _OWN.get(key.removeprefix("_"))
    if known is None:
        return []
    names = value.values() if isinstance(value, dict) else [value]  # a name for each part, or one
    return [name for name in names if not (isinstance(name, str | None) and name in known)]


def _all_foreign(value: object) -> list[tuple[str, object]]:
    """Return key and name of each implementation of elsewhere, in the order of the file."""
    found: list[tuple[str, object]] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += [(key, name) for name in _foreign(key, inner)] or _all_foreign(inner)
    elif isinstance(value, list):
        for inner in value:
            found += _all_foreign(inner)
    return found


def _cleaned(value: Any) -> Any:
    """Return a JSON value without its entries that name implementations of elsewhere."""
    if isinstance(value, dict):
        return {key: _cleaned(inner) for key, inner in value.items() if not _foreign(key, inner)}
    return [_cleaned(inner) for inner in value] if isinstance(value, list) else value
