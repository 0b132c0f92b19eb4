"""What the history keeps of a run: its request, its lanes, and their answers with every token."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec

from playground.core.facts import Answer
from playground.core.floor import Floor
from playground.core.generation import GenerationOptions, Prompt, Timing
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.run_plan import WARM_UP
from playground.core.token_record import TokenRecord


class RunState(StrEnum):
    """How far a run came. The values are stored."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"  # the program ended before the run did


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of every lane of a run, and what the lanes were.

    `reference` is the position of the lane that the others are compared with, None without one.
    """

    typed: str
    lanes: tuple[LaneConfig, ...]
    mode: Literal["raw", "chat"] = "raw"
    system: str = ""
    options: GenerationOptions = GenerationOptions()
    timing: Timing = "in turn"
    repeats: int = 1
    reference: int | None = None


@dataclass(frozen=True)
class KeptAnswer:
    """One answer of one lane; `answer` is None where it broke off, with `text` as far as it came.

    `position` is the lane's, `repeat` counts from 0 and is WARM_UP for a warm-up.
    """

    position: int
    repeat: int
    prompt: Prompt
    text: str
    tokens: TokenRecord
    answer: Answer | None
    floor: Floor | None = None

    @property
    def counted(self) -> bool:
        return self.repeat != WARM_UP


@dataclass(frozen=True)
class LaneRow:
    """A lane in the list of runs: its model, and its precision as counted or as requested.

    `precision` is None for one that this version does not know.
    """

    model: str
    precision: Precision | None
    failure: str = ""


@dataclass(frozen=True)
class RunRow:
    """A run in the list of runs. `created` is Unix time in seconds; `typed` may be cut."""

    id: int
    created: float
    typed: str
    state: RunState
    lanes: tuple[LaneRow, ...]


@dataclass(frozen=True)
class KeptRun:
    """A whole run, as it can be shown, compared and repeated."""

    row: RunRow
    request: RunRequest
    answers: tuple[KeptAnswer, ...]

    def answers_of(self, position: int) -> tuple[KeptAnswer, ...]:
        """Return the answers of one lane in the order they were given, warm-ups left out."""
        return tuple(a for a in self.answers if a.position == position and a.counted)
