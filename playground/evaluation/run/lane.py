"""What an evaluation needs of a lane, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from playground.core.errors import PlaygroundError
from playground.core.facts import Answer, LoadedModel
from playground.core.generation import GenerationOptions, Prompt
from playground.core.lane import LaneConfig
from playground.core.scoring import ContinuationScore


class Paused(Exception):  # noqa: N818  # a request of the user, not an error
    """The user asked for a pause, and the lane gave up what it was doing."""


class EvaluationLane(Protocol):
    """A model that answers. Every method blocks, and raises PlaygroundError or Paused."""

    @property
    def alive(self) -> bool:
        """Whether it can be asked something more."""

    def load(self) -> LoadedModel:
        """Load the model."""

    def generate(self, prompt: Prompt, options: GenerationOptions, reuse: int) -> Answer:
        """Answer a prompt; `reuse` as in Generate."""

    def count(self, prompts: Sequence[Prompt]) -> tuple[int, ...]:
        """Return the tokens of each prompt; () where that cannot be known beforehand."""

    def score(self, context: str, continuations: Sequence[str]) -> tuple[ContinuationScore, ...]:
        """Return how likely each text is after the context."""

    def close(self) -> None:
        """End it."""


#: Opens a contestant's lane, not loaded yet. Raises PlaygroundError.
OpenLane = Callable[[LaneConfig], EvaluationLane]


class Observer:
    """Is told how an evaluation goes on; this one ignores it."""

    def loading(self, position: int) -> None:
        """A contestant's model is being loaded."""

    def loaded(self, position: int, loaded: LoadedModel) -> None:
        """A contestant's model is loaded."""

    def answered(self, position: int, case_id: str) -> None:
        """A contestant's answer to a case is kept."""

    def failed(self, position: int, error: PlaygroundError) -> None:
        """A contestant answers no more."""
