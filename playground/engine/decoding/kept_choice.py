"""Keeps which decode step a model took, so that later loads of it take the same one.

Steps whose logits differ by rounding may write different texts, and two steps that are nearly as
fast would take turns. `steps.json` in the cache folder holds the names by the model and all else
that decides which step is fast.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from playground.core.system import own_files, paths
from playground.core.system.files import write_atomically

_KEPT = 500  # models
_decoder = msgspec.json.Decoder(dict[str, str])


def kept_choice(key: str) -> str:
    """Return the name of the step taken before, "" where there is none."""
    return _read().get(key, "")


def keep_choice(key: str, name: str) -> None:
    """Keep the name of a step. Where the file cannot be written, nothing is kept."""
    stored = _read()
    if stored.pop(key, "") == name:
        return
    latest = dict([*stored.items(), (key, name)][-_KEPT:])
    with contextlib.suppress(OSError):
        write_atomically(_file(), msgspec.json.format(msgspec.json.encode(latest)))


def _file() -> Path:
    return paths.cache_dir() / "steps.json"


def _read() -> dict[str, str]:
    return own_files.load(_file(), _decoder.decode, "the decode steps of earlier loads") or {}
