"""What a lane shows when its engine cannot start, or its process has ended."""

from __future__ import annotations

from playground.core.errors import PlaygroundError
from playground.core.facts import LoadedModel
from playground.core.format import size_text
from playground.core.lane import Failure, LaneState, ProcessEnded, Stage
from playground.gui.engines.worker import EngineEnd

_ENVIRONMENT_REMEDY = (
    "Choose another engine environment in the lane's menu, or check it under Lane, Engine "
    "environments."
)


def no_environment(error: PlaygroundError) -> Failure:
    """Return the failure of a lane whose environment is gone."""
    return Failure(error.message, _ENVIRONMENT_REMEDY, error.detail)


def process_ended(end: EngineEnd, state: LaneState, environment: str) -> ProcessEnded:
    """Return the event for a lane in this state whose engine in `environment` has ended."""
    outcome = end.outcome
    freed = freed_text(end.memory_bytes, state.loaded) if outcome.expected else ""
    text, remedy = outcome.text, outcome.remedy
    if environment and state.stage is Stage.STARTING:
        # The model is not to blame: no engine has got as far as loading it.
        text = f"No engine can start in the environment {environment}. {text}"
        remedy = _ENVIRONMENT_REMEDY
    return ProcessEnded(outcome.expected, text, remedy, outcome.detail, freed)


def freed_text(main_memory: int, loaded: LoadedModel | None) -> str:
    """Return how much memory a process freed: measured just before its end, "" if not measured.

    `main_memory` in bytes; what the model held on another device comes from `loaded`.
    """
    if not main_memory:
        return ""
    device = ""
    if loaded is not None and loaded.request.device != "cpu":
        device = f"{size_text(loaded.memory_bytes)} on {loaded.request.device} and "
    return f"Freed {device}{size_text(main_memory)}; the engine has ended."
