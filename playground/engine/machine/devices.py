"""Describes this environment: its devices with their memory, library versions, and probes."""

from __future__ import annotations

import platform
import shutil
import subprocess

import torch

from playground.core.errors import ModelError
from playground.core.facts import DeviceFacts, EngineFacts
from playground.core.system.machine import machine_memory, processor
from playground.engine.machine import libraries, memory


def engine_facts() -> EngineFacts:
    """Describe this environment."""
    return EngineFacts(
        python=platform.python_version(),
        devices=(cpu(), *_cuda_devices()),
        versions=libraries.versions(),
        probes=libraries.probes(),
        process_bytes=memory.resident(),
    )


def cpu() -> DeviceFacts:
    """Return the processor's current facts."""
    main_memory, model = machine_memory(), processor()
    return DeviceFacts(
        id="cpu",
        name=model.name,
        total_bytes=main_memory.total,
        free_bytes=main_memory.free,
        capability=model.capability or torch.backends.cpu.get_cpu_capability().lower(),
    )


def available_bytes(device: DeviceFacts) -> int:
    """Return the bytes that a load can allocate: free memory, on a CPU plus free swap."""
    return device.free_bytes + (machine_memory().swap if device.id == "cpu" else 0)


def check_device(device: str) -> DeviceFacts:
    """Return the device's current facts. Raises ModelError if the device does not exist."""
    if device == "cpu":
        return cpu()
    present = ["cpu"]
    if torch.cuda.is_available():
        present += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if device not in present:
        raise ModelError(
            f"The device {device} is not there.", f"Choose one of these: {', '.join(present)}."
        )
    index = int(device.partition(":")[2])
    free, total = torch.cuda.mem_get_info(index)
    return _cuda_facts(index, free, total)


def _cuda_devices() -> list[DeviceFacts]:
    if not torch.cuda.is_available():
        return []
    # torch.cuda.mem_get_info would create a CUDA context: some hundred MB of each GPU for every
    # engine, even for those that load on the CPU.
    free = _free_by_uuid()
    devices = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        total = int(properties.total_memory)
        uuid = str(getattr(properties, "uuid", "")).removeprefix("GPU-")
        devices.append(_cuda_facts(index, free.get(uuid, total), total))
    return devices


def _cuda_facts(index: int, free: int, total: int) -> DeviceFacts:
    major, minor = torch.cuda.get_device_capability(index)
    return DeviceFacts(
        id=f"cuda:{index}",
        name=torch.cuda.get_device_name(index),
        total_bytes=total,
        free_bytes=free,
        capability=f"{major}.{minor}",
    )


def _free_by_uuid() -> dict[str, int]:
    """Return each GPU's free bytes as nvidia-smi reports them; empty without nvidia-smi."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    query = [program, "--query-gpu=uuid,memory.free", "--format=csv,noheader,nounits"]
    try:
        result = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    free = {}
    for line in result.stdout.splitlines():
        uuid, _, mebibytes = line.partition(",")
        if mebibytes.strip().isdigit():
            free[uuid.strip().removeprefix("GPU-")] = int(mebibytes) * 1024 * 1024
    return free
