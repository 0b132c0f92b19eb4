"""How fast a device reads its memory: measured once, and kept in the cache folder.

A measurement that something disturbed is made again, up to five times at once and then once a
day, until one was calm.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import torch

from playground.core.system import locks, paths
from playground.core.system.machine import machine_memory

#: Passes over the memory, of which the median counts; fewer where they take too long.
_PASSES = 9
_LEAST_PASSES = 3
_BUDGET_S = 0.15  # for the passes of one kind
#: Bytes of each of the two buffers, at least; and how many times all last-level caches. A GPU
#: passes over more in the time that starting a kernel takes.
_LEAST_BYTES = 128 * 2**20
_LEAST_ON_GPU = 2**30
_CACHES = 2
_SHARE = 8  # of the free memory, both buffers together at most
#: Passes whose slowest quarter takes so much longer than the fastest were disturbed, and so
#: were passes in which the threads had less than this part of their time on a core.
_STEADY = 1.25
_ON_CORE = 0.8
#: On a machine that is not calm the best of so many measurements has to do for a while.
_ATTEMPTS = 5
_WHILE = timedelta(days=1)
_CPUS = Path("/sys/devices/system/cpu")


class Bandwidth(msgspec.Struct, frozen=True):
    """What was measured on one device.

    `bytes_per_s` is the faster of two kinds of passes, by its median: "read" (a dot product
    of two buffers, both read) and "copy" (of one to the other, counted as one read and one
    write). `steady` says that nothing else seemed to use the device meanwhile. `measured` is the
    time of the last of `attempts` measurements.
    """

    bytes_per_s: float
    kind: str
    steady: bool
    measured: Annotated[datetime, msgspec.Meta(tz=True)]
    attempts: int = 1

    @property
    def holds(self) -> bool:
        """Whether it needs no other measurement now."""
        age = abs(datetime.now(UTC) - self.measured)  # a clock may have been put back
        return self.steady or (self.attempts >= _ATTEMPTS and age < _WHILE)


def known(device: str, name: str) -> Bandwidth | None:
    """What was measured before on a device; None where that must be done (again).

    `device` is torch's name of it, `name` its maker's. What was disturbed is measured anew.
    """
    found = _read().get(_key(device, name))
    return found if found is not None and found.holds else None


def bandwidth(device: str, name: str) -> Bandwidth:
    """Return the device's bandwidth; where it is not known, measure it (about 0.4 s) and keep it.

    One process at a time measures; a folder that cannot be written only means measuring again.
    """
    with locks.exclusive(_file().with_suffix(".lock")):
        stored = _read()
        key = _key(device, name)
        before = stored.get(key)
        if before is not None and before.holds:
            return before
        found = measure(device)
        if before is not None:
            # Whatever else used the device made the figure smaller, never larger.
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
    """Measure now, with torch's present number of threads on a CPU, in events on CUDA."""
    count = _buffer_bytes(device) // 4
    one = torch.ones(count, dtype=torch.float32, device=device)
    other = torch.ones(count, dtype=torch.float32, device=device)
    kinds: dict[str, Callable[[], object]] = {
        "read": partial(torch.dot, one, other),
        "copy": partial(other.copy_, one),
    }
    best, steady = ("", 0.0), False
    for kind, work in kinds.items():
        began, worked = time.perf_counter(), time.process_time()
        times = sorted(_pass_times(device, work))
        worked = time.process_time() - worked
        rate = 2 * one.nbytes / statistics.median(times)
        if rate > best[1]:
            best = (kind, rate)
            steady = times[(3 * len(times)) // 4] <= _STEADY * times[0]
            if device == "cpu":
                wanted = torch.get_num_threads() * (time.perf_counter() - began)
                steady = steady and worked >= _ON_CORE * wanted
    del kinds, work, one, other
    if device != "cpu":
        torch.cuda.empty_cache()  # the buffers are no part of any model's memory
    return Bandwidth(best[1], best[0], steady, datetime.now(UTC))


def _pass_times(device: str, work: Callable[[], object]) -> list[float]:
    """Seconds of each pass, after one that is not counted."""
    timed = _time_on_cpu if device == "cpu" else _time_on_cuda
    with contextlib.nullcontext() if device == "cpu" else torch.cuda.device(device):
        timed(work)
        end = time.monotonic() + _BUDGET_S
        times: list[float] = []
        while len(times) < _PASSES and (len(times) < _LEAST_PASSES or time.monotonic() < end):
            times.append(timed(work))
    return times


def _time_on_cpu(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _time_on_cuda(work: Callable[[], object]) -> float:
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began.record()
    work()
    ended.record()
    ended.synchronize()
    return float(began.elapsed_time(ended)) / 1e3


def _buffer_bytes(device: str) -> int:
    """Bytes of one buffer: both together leave every cache and fit into the free memory."""
    if device == "cpu":
        free, caches = machine_memory().free, _last_level_caches()
    else:
        free = torch.cuda.mem_get_info(device)[0]
        caches = int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0))
    least = _LEAST_BYTES if device == "cpu" else _LEAST_ON_GPU
    wanted = max(least, _CACHES * caches)
    limit = free // _SHARE // 2 if free else wanted
    return max(min(wanted, limit), 2**20)


def _last_level_caches() -> int:
    """Bytes of all last-level caches of the machine together, 0 where it does not tell."""
    found: dict[str, int] = {}
    for folder in _CPUS.glob("cpu[0-9]*/cache/index3"):
        with contextlib.suppress(OSError, ValueError):
            shared = (folder / "shared_cpu_list").read_text("ascii").strip()
            size = (folder / "size").read_text("ascii").strip()
            found[shared] = int(size.removesuffix("K")) * 1024
    return sum(found.values())


# What is kept


def _key(device: str, name: str) -> str:
    where = f"{torch.get_num_threads()} threads" if device == "cpu" else device
    return f"{name}, {where}, torch {torch.__version__}"


def _file() -> Path:
    return paths.cache_dir() / "bandwidth.json"


def _read() -> dict[str, Bandwidth]:
    try:
        return msgspec.json.decode(_file().read_bytes(), type=dict[str, Bandwidth])
    except (OSError, msgspec.DecodeError):
        return {}


def _write(values: dict[str, Bandwidth]) -> None:
    path = _file()
    with contextlib.suppress(OSError):
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(msgspec.json.format(msgspec.json.encode(values)))
        Path(file.name).replace(path)
