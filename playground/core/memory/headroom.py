"""What is free for a model, and how many more tokens fit beside a loaded one."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.facts import EngineFacts, LoadedModel
from playground.core.memory.corrections import corrections_for
from playground.core.memory.plan import DeviceBudget, tokens_left
from playground.core.system.machine import machine_memory


def place_of(device: str, engine: EngineFacts | None) -> DeviceBudget:
    """What an engine found of a device, and what loads there taught. Reads a small file."""
    found = [d for d in engine.devices if d.id == device] if engine else []
    if engine is None or not found:
        return DeviceBudget(device=device)
    return DeviceBudget(
        device=device,
        capability=found[0].capability,
        process=engine.process_bytes,
        corrections=corrections_for(found[0].name),
    )


def free_bytes(device: str, engine: EngineFacts | None) -> int | None:
    """Memory free for a model: on the CPU now, elsewhere when the engine looked; None: unknown."""
    if device == "cpu":
        return machine_memory().free
    found = [d.free_bytes for d in engine.devices if d.id == device] if engine else []
    return found[0] if found else None


@dataclass(frozen=True)
class Headroom:
    """What a loaded model has left: `left` tokens, None where neither limit is known."""

    left: int | None
    used: int
    context: int
    token_bytes: int  # of the cache
    free: int | None


def headroom(loaded: LoadedModel, used: int, free: int | None) -> Headroom:
    """How many more tokens fit beside the `used` ones, into the context and the free memory."""
    token_bytes = loaded.floor.cache_bytes if loaded.floor and free is not None else 0
    left = tokens_left(token_bytes, max(0, free or 0), used, loaded.context_length)
    return Headroom(left, used, loaded.context_length, token_bytes, free)
