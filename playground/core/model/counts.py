"""Takes counts from a config.json, within bounds that every real model keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from playground.core.errors import FileError

#: The largest count of any kind, a context of 10**9 tokens.
_MOST = 10**9


#: Names of counts, the most that is accepted, and whether it must be a whole number. The bounds
#: are some times what the largest published models have: 126 layers, 2,048 experts.
_LIMITS = tuple(
    (re.compile(pattern), most, strict)
    for pattern, most, strict in (
        (r"(?:num|n|max_window|encoder|decoder)_(?:\w+_)?layers?|max_window_layers", 1024, True),
        (r"(?:\w+_)?n?_?heads|(?:n|num)_head(?:_kv)?|multi_query_group_num", 65_536, True),
        (r"(?:\w+_)?(?:num|n)_(?:\w+_)?experts(?:_\w+)?", 16_384, True),
        (r"num_labels", 100_000, True),
        (r"(?:\w+_)?vocab_size", 10**7, True),
        (r"hidden_size|n_embe?d|d_model|intermediate_size|n_inner|ffn_dim", 10**7, True),
        (r"(?:\w+_)?(?:size|dim|rank|state|kernel|window)", 10**8, False),
        (r"(?:\w+_)?position_embeddings|n_positions|n_ctx|(?:\w+_)?length|max_\w+", _MOST, False),
    )
)


def check_counts(config: Mapping[str, Any], name: str = "config.json") -> None:
    """Raise FileError where a model's config, or a part of it, states a count that cannot be."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            check_counts(value, name)
            continue
        for pattern, most, strict in _LIMITS:
            if pattern.fullmatch(key):
                # Some architectures state a value for each layer.
                for one in value if isinstance(value, list) else [value]:
                    _check(name, key, one, most, strict)
                break


def positive_int(config: Mapping[str, Any], *names: str) -> int:
    """Return the first of the named values that is a positive whole number, else 0.

    A number above 10**9 is no count of anything in a model, and is passed over.
    """
    for name in names:
        value = config.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # some scripts write 4096.0
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST:
            return value
    return 0


def _check(name: str, key: str, value: object, most: int, strict: bool) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int) and -1 <= value <= most:
        return
    if isinstance(value, float) and -1 <= value <= most and not strict:
        return
    if not strict and not isinstance(value, (int, float)):
        return
    shown = repr(value)
    shown = shown if len(shown) <= 40 else f"{shown[:30]}…"
    raise FileError(name, f"is damaged: it states {key} as {shown}, which no model has")
