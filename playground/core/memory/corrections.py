"""What earlier loads on this machine taught: measured over predicted memory, kept in a file.

`memory.json` in the cache folder has for each device the last loads of each precision. A
prediction is multiplied by the median ratio of those whose prediction was between half and
twice as large: what is wrong by some hundred MB for a small model says nothing of a large one.
"""

from __future__ import annotations

import contextlib
import statistics
from pathlib import Path

import msgspec

from playground.core.precision import Precision
from playground.core.system import paths
from playground.core.system.files import write_atomically

_KEPT = 30  # loads of a precision on a device
_COUNTED = 9  # the last of those near in size
_NEAR = 2.0
#: A peak below the prediction may only mean that the system dropped pages: trust little of it.
_LEAST, _MOST = 0.9, 1.5


class Load(msgspec.Struct, frozen=True):
    """One load: the bytes that were predicted to be needed, and those that were."""

    precision: Precision
    predicted: int
    measured: int


class Learned(msgspec.Struct, frozen=True):
    """The loads on one device, the latest last."""

    loads: tuple[Load, ...] = ()

    def factor(self, precision: Precision, predicted: int) -> float:
        """By what a prediction of so many bytes is to be multiplied; 1.0 while nothing is known."""
        near = [
            load.measured / load.predicted
            for load in self.loads
            if load.precision is precision
            and load.predicted > 0
            and 1 / _NEAR <= load.predicted / max(1, predicted) <= _NEAR
        ]
        if not near:
            return 1.0
        return min(_MOST, max(_LEAST, statistics.median(near[-_COUNTED:])))


def learned(device_name: str) -> Learned:
    """What is known of a device, by its maker's name; nothing where the file cannot be read."""
    return _read().get(device_name, Learned())


def learn(device_name: str, load: Load) -> None:
    """Keep a load. A folder that cannot be written only means that nothing is learned."""
    stored = _read()
    loads = (*stored.get(device_name, Learned()).loads, load)
    same = [other for other in loads if other.precision is load.precision]
    dropped = same[: len(same) - _KEPT] if len(same) > _KEPT else []
    kept = tuple(other for other in loads if not any(other is gone for gone in dropped))
    data = msgspec.json.format(msgspec.json.encode({**stored, device_name: Learned(kept)}))
    with contextlib.suppress(OSError):
        write_atomically(_file(), data)


def _file() -> Path:
    return paths.cache_dir() / "memory.json"


def _read() -> dict[str, Learned]:
    try:
        return msgspec.json.decode(_file().read_bytes(), type=dict[str, Learned])
    except (OSError, msgspec.DecodeError):
        return {}
