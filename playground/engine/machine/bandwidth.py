"""Measures a device's memory bandwidth once, and caches the result.

A measurement that other programs disturbed is repeated by each of the next four loads, then once
a day, until one is undisturbed.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import torch

from playground.core.system import locks, own_files, paths
from playground.core.system.files import write_atomically
from playground.core.system.machine import machine_memory

#: Passes over the memory, of which the median counts; fewer once _BUDGET_S is used up.
_PASSES = 9
_MIN_PASSES = 3
_BUDGET_S = 0.15  # for the passes of one kind
#: Least bytes of each of the two buffers. A GPU needs more, to hide the time of kernel launches.
_MIN_BYTES = 128 * 2**20
_MIN_BYTES_ON_GPU = 2**30
#: Each buffer is at least this many times as large as all last-level caches together.
_CACHES = 2
#: Both buffers together take at most this share of the free memory.
_SHARE = 1 / 8
#: Passes were disturbed if the third quartile is more than this many times the fastest …
_STEADY = 1.25
#: … or if the threads ran for less than this share of the time.
_ON_CORE = 0.8
#: After this many disturbed measurements, the best one is valid for _PAUSE.
_ATTEMPTS = 5
_PAUSE = timedelta(days=1)
_CPUS = Path("/sys/devices/system/cpu")


class Bandwidth(msgspec.Struct, frozen=True):
    """The memory bandwidth of one device.

    `bytes_per_s` is the larger median of two kinds of passes: "read" (a dot product of two
    buffers) and "copy" (from one buffer to the other, counted as a read and a write). `steady`
    tells that no other program seemed to disturb it: else it is approximate. `measured` is the
    time of the last of `attempts` measurements.
    """

    bytes_per_s: Annotated[float, msgspec.Meta(gt=0, lt=1e18)]
    kind: str
    steady: bool
    measured: Annotated[datetime, msgspec.Meta(tz=True)]
    attempts: int = 1

    @property
    def holds(self) -> bool:
        """Whether it is valid: no other measurement is due."""
        age = abs(datetime.now(UTC) - self.measured)  # the clock may have been set back
        return self.steady or (self.attempts >= _ATTEMPTS and age < _PAUSE)


_decoder = msgspec.json.Decoder(dict[str, Bandwidth])


def known(device: str, name: str) -> Bandwidth | None:
    """Return a device's cached bandwidth; None if a measurement is due.

    `device` is torch's name ("cpu", "cuda:0"), `name` the product's.
    """
    found = _read().get(_key(device, name))
    return found if found is not None and found.holds else None


def bandwidth(device: str, name: str) -> Bandwidth:
    """Return a device's bandwidth; measure (about 0.4 s) and cache it if a measurement is due.

    One process at a time measures. If the folder cannot be written, nothing is cached.
    """
    with locks.exclusive(_file().with_suffix(".lock")):
        stored = _read()
        key = _key(device, name)
        before = stored.get(key)
        if before is not None and before.holds:
            return before
        found = measure(device)
        if before is not None:
            # Other programs can only reduce a figure.
            best = max((found, before), key=lambda b: b.bytes_per_s)
            found = msgspec.structs.replace(
                best,
                steady=found.steady and best is found,
                measured=found.measured,
                attempts=before.attempts + 1,
            )
        _write({**stored, key: found})
        return found


@torch.inference_mode()
def measure(device: str) -> Bandwidth:
    """Measure now: on the CPU with torch's current number of threads, on CUDA with events.

    On the CPU a pass is timed by the processor time of its threads, which leaves out the time that
    they wait for a core. Programs that use the memory meanwhile still slow it down.
    """
    count = _buffer_bytes(device) // 4
    one = torch.ones(count, dtype=torch.float32, device=device)
    other = torch.ones(count, dtype=torch.float32, device=device)
    kinds: dict[str, Callable[[], object]] = {
        "read": partial(torch.dot, one, other),
        "copy": partial(other.copy_, one),
    }
    best_kind, best_rate, steady = "", 0.0, False
    for kind, work in kinds.items():
        began, worked = time.perf_counter(), time.process_time()
        times = sorted(_pass_times(device, work))
        worked = time.process_time() - worked
        rate = 2 * one.nbytes / statistics.median(times)
        if rate > best_rate:
            best_kind, best_rate = kind, rate
            steady = times[(3 * len(times)) // 4] <= _STEADY * times[0]
            if device == "cpu":
                available = torch.get_num_threads() * (time.perf_counter() - began)
                steady = steady and worked >= _ON_CORE * available
    del kinds, work, one, other
    if device != "cpu":
        torch.cuda.empty_cache()  # the buffers must not count as a model's memory
    return Bandwidth(best_rate, best_kind, steady, datetime.now(UTC))


def _pass_times(device: str, work: Callable[[], object]) -> list[float]:
    """Return the seconds of each pass, after one warm-up pass."""
    timed = _time_on_cpu if device == "cpu" else _time_on_cuda
    with contextlib.nullcontext() if device == "cpu" else torch.cuda.device(device):
        timed(work)
        end = time.monotonic() + _BUDGET_S
        times: list[float] = []
        while len(times) < _PASSES and (len(times) < _MIN_PASSES or time.monotonic() < end):
            times.append(timed(work))
    return times


def _time_on_cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) / torch.get_num_threads()


def _time_on_cuda(work: Callable[[], object]) -> float:
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began.record()
    work()
    ended.record()
    ended.synchronize()
    return float(began.elapsed_time(ended)) / 1e3


def _buffer_bytes(device: str) -> int:
    """Return the bytes of one buffer: larger than the caches, a share of the free memory."""
    if device == "cpu":
        free, caches = machine_memory().free, _last_level_caches()
    else:
        free = torch.cuda.mem_get_info(device)[0]
        caches = int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0))
    least = _MIN_BYTES if device == "cpu" else _MIN_BYTES_ON_GPU
    size = max(least, _CACHES * caches)
    limit = int(free * _SHARE / 2) if free else size
    return max(min(size, limit), 2**20)


def _last_level_caches() -> int:
    """Return the bytes of all last-level caches together, 0 if unknown."""
    found: dict[str, int] = {}
    for folder in _CPUS.glob("cpu[0-9]*/cache/index3"):
        with contextlib.suppress(OSError, ValueError):
            shared = (folder / "shared_cpu_list").read_text("ascii").strip()
            size = (folder / "size").read_text("ascii").strip()
            found[shared] = int(size.removesuffix("K")) * 1024
    return sum(found.values())


# The stored measurements


def _key(device: str, name: str) -> str:
    where = f"{torch.get_num_threads()} threads" if device == "cpu" else device
    return f"{name}, {where}, torch {torch.__version__}"


def _file() -> Path:
    return paths.cache_dir() / "bandwidth.json"


def _read() -> dict[str, Bandwidth]:
    return own_files.load(_file(), _decoder.decode, "the measured bandwidths") or {}


def _write(values: dict[str, Bandwidth]) -> None:
    with contextlib.suppress(OSError):
        write_atomically(_file(), msgspec.json.format(msgspec.json.encode(values)))
