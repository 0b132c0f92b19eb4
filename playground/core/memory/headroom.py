"""Tells how much memory a device has free for a model, and how many more tokens a lane can take."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.facts import DeviceFacts, EngineFacts, LoadedModel
from playground.core.memory.corrections import corrections_for
from playground.core.memory.plan import DeviceBudget, tokens_left
from playground.core.system.machine import machine_memory


def device_budget(device: DeviceFacts, process: int) -> DeviceBudget:
    """Return what a plan for this device needs to know. Reads the small file of corrections.

    `process` is the resident set, in bytes, of the engine process before the load.
    """
    return DeviceBudget(
        device=device.id,
        capability=device.capability,
        process=process,
        corrections=corrections_for(device.name),
    )


def budget_on(device_id: str, engine: EngineFacts | None) -> DeviceBudget:
    """Return the budget of a device of this engine; a bare one where the engine lacks it."""
    device = _device(device_id, engine)
    if device is None or engine is None:
        return DeviceBudget(device=device_id)
    return device_budget(device, engine.process_bytes)


def free_bytes(device_id: str, engine: EngineFacts | None) -> int | None:
    """Return the bytes free for a model, None where unknown.

    On the CPU they are read now; a GPU's are those that the engine reported when it started.
    """
    if device_id == "cpu":
        return machine_memory().free
    device = _device(device_id, engine)
    return device.free_bytes if device else None


@dataclass(frozen=True)
class Headroom:
    """What limits a lane's text: the model's context, and the free memory for its KV cache.

    `left`: how many more tokens fit, None where neither limit is known; `used`: tokens so far;
    `context`: tokens, 0 where unknown; `token_bytes`: KV cache a token, 0 where unknown;
    `free`: bytes, None where unknown.
    """

    left: int | None
    used: int
    context: int
    token_bytes: int
    free: int | None


def headroom(loaded: LoadedModel, used: int, free: int | None) -> Headroom:
    """Return the headroom of a loaded model after `used` tokens, with `free` bytes of memory."""
    token_bytes = loaded.floor.cache_bytes if loaded.floor and free is not None else 0
    left = tokens_left(token_bytes, max(0, free or 0), used, loaded.context_length)
    return Headroom(left, used, loaded.context_length, token_bytes, free)


def _device(device_id: str, engine: EngineFacts | None) -> DeviceFacts | None:
    devices = engine.devices if engine else ()
    return next((device for device in devices if device.id == device_id), None)
