"""How much memory a lane's model occupies, and how many more tokens fit beside it."""

from __future__ import annotations

from playground.client.process_memory import resident_bytes
from playground.core.memory.headroom import Headroom, headroom
from playground.gui.lanes.lane import LaneController


def reclaimable_bytes(lane: LaneController, device: str) -> int:
    """Return the bytes that unloading the lane's model would free on `device`."""
    loaded = lane.state.loaded
    if loaded is None or loaded.request.device != device:
        return 0
    return resident_bytes(lane.pid) if device == "cpu" else loaded.memory_bytes


def headroom_left(lane: LaneController) -> Headroom | None:
    """Return the headroom for more tokens, None without a loaded model."""
    loaded = lane.state.loaded
    if loaded is None:
        return None
    generation = lane.generation
    used = 0
    if generation is not None and generation.config == lane.config:
        used = generation.prompt_tokens + len(generation.trace)
    return headroom(loaded, used, lane.free_bytes(loaded.request.device))
