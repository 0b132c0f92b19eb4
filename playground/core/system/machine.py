"""Reads this machine's processor and memory, within the limit of a container."""

from __future__ import annotations

import contextlib
import platform
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")
_CGROUP = "sys/fs/cgroup"
_MEMINFO = ("MemTotal:", "MemFree:", "MemAvailable:", "SwapFree:")
#: Of a container (cgroup version 2, version 1): the files with its memory limit and its use, and
#: the field of memory.stat with file pages, which are dropped when memory runs short.
_CGROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)
#: Instruction sets that decide which CPU kernels are fast, by /proc/cpuinfo's names.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


@dataclass(frozen=True)
class MachineMemory:
    """Main memory in bytes, all 0 where the system does not state it.

    `free`: what programs can allocate without swapping; `swap`: the unused swap space.
    """

    total: int
    free: int
    swap: int


@dataclass(frozen=True)
class Processor:
    """A processor's name, and its instruction sets that matter here, separated by spaces."""

    name: str
    capability: str


def machine_memory(root: Path = _ROOT) -> MachineMemory:
    """Return the memory as it is now; `root` is the folder of /proc and /sys.

    Where a container's limit is below the machine's memory, the limit counts, without swap.
    """
    system = _system_memory(root)
    return _container_memory(root, system) or system


def processor(root: Path = _ROOT) -> Processor:
    """Return the processor; `root` is the folder of /proc."""
    info = _cpuinfo(root)
    flags = set(info.get("flags", info.get("Features", "")).split())
    name = info.get("model name") or platform.processor() or platform.machine() or "CPU"
    return Processor(name, " ".join(flag for flag in _FLAGS if flag in flags))


def _system_memory(root: Path) -> MachineMemory:
    meminfo = _meminfo(root)
    if "MemTotal" in meminfo:
        free = meminfo.get("MemAvailable", meminfo.get("MemFree", 0))
        return MachineMemory(meminfo["MemTotal"], free, meminfo.get("SwapFree", 0))
    try:
        import psutil  # only where there is no /proc; another environment may lack it
    except ImportError:
        return MachineMemory(0, 0, 0)
    memory = psutil.virtual_memory()
    return MachineMemory(int(memory.total), int(memory.available), 0)


def _meminfo(root: Path) -> dict[str, int]:
    try:
        lines = (root / "proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines if line.startswith(_MEMINFO))
    return {name.rstrip(":"): int(kib) * 1024 for name, kib, _ in fields}


def _container_memory(root: Path, system: MachineMemory) -> MachineMemory | None:
    """Return the memory within a container's limit; None where no limit is below the system's."""
    for limit, used, inactive in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):
            most = int((root / _CGROUP / limit).read_text("ascii"))
            if most >= system.total:
                return None
            now = int((root / _CGROUP / used).read_text("ascii"))
            stat = (root / _CGROUP / used).with_name("memory.stat").read_text("ascii")
            fields = dict(line.split(" ", 1) for line in stat.splitlines())
            left = most - max(0, now - int(fields.get(inactive, "0")))
            return MachineMemory(most, min(system.free, max(0, left)), 0)
    return None


def _cpuinfo(root: Path) -> dict[str, str]:
    """Return the first processor's fields."""
    try:
        text = (root / "proc/cpuinfo").read_text("utf-8", "replace").split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
