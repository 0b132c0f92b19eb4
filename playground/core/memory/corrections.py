"""Corrects memory predictions by what earlier loads on this machine measured; kept in a file.

`memory.json` in the cache folder holds, for each device, the latest loads of each model family at
each precision. A prediction is multiplied by the median of measured ÷ predicted over loads of the
same family and of a similar size: between half and twice the prediction. An error of some hundred
MB with a small model says nothing about a large one, nor one family's layers about another's.
"""

from __future__ import annotations

import contextlib
import statistics
from pathlib import Path
from typing import Annotated

import msgspec

from playground.core.precision import Precision
from playground.core.system import own_files, paths
from playground.core.system.files import write_atomically

_KEPT = 30  # loads of one family at one precision on one device
_COUNTED = 9  # the latest of those of a similar size
_SIMILAR = 2.0
#: Bounds of the factor. A peak far below the prediction may only mean that the system dropped
#: pages meanwhile, so the lower bound is close to 1.
_LEAST, _MOST = 0.9, 1.5
_Bytes = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class MeasuredLoad(msgspec.Struct, frozen=True):
    """One load: the bytes that were predicted to be needed, and the bytes that were measured.

    `family` is the config's model type; "" in files of earlier versions, which teach nothing.
    """

    precision: Precision
    predicted: _Bytes
    measured: _Bytes
    family: str = ""

    @property
    def kind(self) -> tuple[str, Precision]:
        """What a load teaches about: its family, at its precision."""
        return self.family, self.precision


class Corrections(msgspec.Struct, frozen=True):
    """The measured loads on one device, the latest last."""

    loads: tuple[MeasuredLoad, ...] = ()

    def factor(self, family: str, precision: Precision, predicted: int) -> float:
        """Return the factor for a prediction of `predicted` bytes; 1.0 without similar loads."""
        ratios = [
            load.measured / load.predicted
            for load in self.loads
            if family
            and load.kind == (family, precision)
            and load.predicted > 0
            and 1 / _SIMILAR <= load.predicted / max(1, predicted) <= _SIMILAR
        ]
        if not ratios:
            return 1.0
        return min(_MOST, max(_LEAST, statistics.median(ratios[-_COUNTED:])))


_decoder = msgspec.json.Decoder(dict[str, Corrections])


def corrections_for(device_name: str) -> Corrections:
    """Return the corrections for a device by its name; empty where the file cannot be read."""
    return _read().get(device_name, Corrections())


def record_load(device_name: str, load: MeasuredLoad) -> None:
    """Add a load to the file. Where the file cannot be written, the load is dropped silently."""
    stored = _read()
    loads = stored.get(device_name, Corrections()).loads
    same = [other for other in loads if other.kind == load.kind]
    others = [other for other in loads if other.kind != load.kind]
    kept = (*others, *[*same, load][-_KEPT:])
    data = msgspec.json.format(msgspec.json.encode({**stored, device_name: Corrections(kept)}))
    with contextlib.suppress(OSError):
        write_atomically(_file(), data)


def _file() -> Path:
    return paths.cache_dir() / "memory.json"


def _read() -> dict[str, Corrections]:
    return own_files.load(_file(), _decoder.decode, "the memory measured by earlier loads") or {}
