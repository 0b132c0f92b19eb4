"""What a lane says of an engine that cannot start, or whose process has ended."""

from __future__ import annotations

from playground.core.errors import PlaygroundError
from playground.core.facts import LoadedModel
from playground.core.format import size_text
from playground.core.lane import Failure, LaneState, ProcessEnded, Stage
from playground.gui.engines.worker import EngineEnd

_ENVIRONMENT_CURE = (
    "Choose another engine environment in the lane's menu, or look at it under Lane, Engine "
    "environments."
)


def no_environment(error: PlaygroundError) -> Failure:
    """Return the failure of a lane whose environment is gone."""
    return Failure(error.message, _ENVIRONMENT_CURE, error.detail)


def process_ended(end: EngineEnd, state: LaneState, environment: str) -> ProcessEnded:
    """Return what the end of an engine in this environment means to a lane in this state."""
    outcome = end.outcome
    freed = freed_text(end.memory_bytes, state.loaded) if outcome.expected else ""
    text, cure = outcome.text, outcome.cure
    if environment and state.stage is Stage.STARTING:
        # No model has anything to do with it.
        text = f"No engine can start in the environment {environment}. {text}"
        cure = _ENVIRONMENT_CURE
    return ProcessEnded(outcome.expected, text, cure, outcome.detail, freed)


def freed_text(main_memory: int, loaded: LoadedModel | None) -> str:
    """What came back with a process: measured in it just before its end; "" if it was not."""
    if not main_memory:
        return ""
    device = ""
    if loaded is not None and loaded.request.device != "cpu":
        device = f"{size_text(loaded.memory_bytes)} on {loaded.request.device} and "
    return f"Freed {device}{size_text(main_memory)}; the process is gone."
