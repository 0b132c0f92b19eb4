"""Memory and processor, read from the files of made-up systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from playground.core.system.machine import MachineMemory, Processor, machine_memory, processor

GIB = 2**30
MEMINFO = f"""MemTotal:       {16 * GIB // 1024} kB
MemFree:        {1 * GIB // 1024} kB
MemAvailable:   {10 * GIB // 1024} kB
SwapFree:       {2 * GIB // 1024} kB
HugePages_Total:       0
"""
WHOLE = MachineMemory(16 * GIB, 10 * GIB, 2 * GIB)
UNLIMITED_V1 = 2**63 - 4096


def system(folder: Path, files: Mapping[str, object]) -> Path:
    """Write the files of a system under `folder`, with a default /proc/meminfo."""
    for name, text in ({"proc/meminfo": MEMINFO} | dict(files)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", "ascii")
    return folder


def cgroup_v2(limit: object, used: int, droppable: int = 0) -> dict[str, object]:
    stat = f"anon 12\nfile {droppable}\nactive_file 5\ninactive_file {droppable}"
    files = {"memory.max": limit, "memory.current": used, "memory.stat": stat}
    return {f"sys/fs/cgroup/{name}": text for name, text in files.items()}


def cgroup_v1(limit: int, used: int, droppable: int = 0) -> dict[str, object]:
    stat = f"cache 12\ninactive_file 0\ntotal_inactive_file {droppable}"
    files = {"limit_in_bytes": limit, "usage_in_bytes": used, "stat": stat}
    return {f"sys/fs/cgroup/memory/memory.{name}": text for name, text in files.items()}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, WHOLE),
        (cgroup_v2("max", 3 * GIB), WHOLE),
        (cgroup_v2(64 * GIB, 3 * GIB), WHOLE),
        (cgroup_v2(4 * GIB, 3 * GIB), MachineMemory(4 * GIB, 1 * GIB, 0)),
        (cgroup_v2(4 * GIB, 3 * GIB, droppable=2 * GIB), MachineMemory(4 * GIB, 3 * GIB, 0)),
        (cgroup_v2(4 * GIB, 5 * GIB), MachineMemory(4 * GIB, 0, 0)),
        # More room in the container than on the machine.
        (cgroup_v2(15 * GIB, 1 * GIB), MachineMemory(15 * GIB, 10 * GIB, 0)),
        (cgroup_v1(UNLIMITED_V1, 3 * GIB), WHOLE),
        (cgroup_v1(4 * GIB, 3 * GIB), MachineMemory(4 * GIB, 1 * GIB, 0)),
        (cgroup_v1(4 * GIB, 3 * GIB, droppable=2 * GIB), MachineMemory(4 * GIB, 3 * GIB, 0)),
    ],
)
def test_memory_within_a_containers_limit(
    files: dict[str, object], told: MachineMemory, tmp_path: Path
) -> None:
    assert machine_memory(system(tmp_path, files)) == told


def test_without_proc_psutil_is_asked(tmp_path: Path) -> None:
    told = machine_memory(tmp_path)
    assert told.total == psutil.virtual_memory().total
    assert 0 < told.free < told.total


def test_this_machine() -> None:
    told = machine_memory()
    assert 0 < told.free <= told.total <= psutil.virtual_memory().total


def test_the_processors_name_and_instruction_sets(tmp_path: Path) -> None:
    one = "processor\t: {}\nmodel name\t: Fast 9000\nflags\t\t: fpu avx512_bf16 sse avx2\n"
    root = system(tmp_path, {"proc/cpuinfo": "\n".join(one.format(n) for n in range(2))})
    assert processor(root) == Processor("Fast 9000", "avx2 avx512_bf16")
    unknown = processor(tmp_path / "nowhere")
    assert unknown.name
    assert unknown.capability == ""
