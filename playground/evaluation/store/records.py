"""What is kept of an evaluation: its plan, the answers to its cases, and their grades."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from playground.core.facts import LoadedModel
from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig
from playground.core.scoring import ContinuationScore
from playground.evaluation.case import Case, Suite
from playground.evaluation.grade import Grade


class EvaluationState(StrEnum):
    """How far an evaluation is; the values are data."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    DECIDED = "stopped early"
    INTERRUPTED = "interrupted"

    @property
    def unfinished(self) -> bool:
        """Whether it can be resumed."""
        return self in (self.RUNNING, self.PAUSED, self.INTERRUPTED)


class EvaluationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked what, and how it is decided.

    `order` are the ids of the cases in the order in which they are asked. `margin` is the loss
    that is tolerated, as a share of the cases. `reference` is a position among the contestants.
    `early_stop` ends the evaluation once every contestant is decided.
    """

    contestants: tuple[LaneConfig, ...]
    reference: int
    order: tuple[str, ...]
    options: GenerationOptions
    margin: float = 0.05
    early_stop: bool = True
    seed: int = 0


class ItemAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a contestant answered to a case.

    Times are seconds; `first_s` is not comparable where worked examples were kept in the cache
    (`reused_tokens`). `choices` are the scores of a case's choices, in their order. `skipped` is
    a sentence where the case was not asked, `failure` where it could not be answered. `reused`:
    the answer is an earlier evaluation's.
    """

    text: str = ""
    token_ids: tuple[int, ...] = ()
    stop_reason: str = ""
    prompt_tokens: int = 0
    reused_tokens: int = 0
    first_s: float = 0.0
    total_s: float = 0.0
    peak_memory_bytes: int = 0
    choices: tuple[ContinuationScore, ...] = ()
    skipped: str = ""
    failure: str = ""
    reused: bool = False


@dataclass(frozen=True)
class KeptItem:
    """A contestant's answer to a case, with its grade and what a person gave instead."""

    answer: ItemAnswer
    grade: Grade | None = None
    human: Grade | None = None

    @property
    def final(self) -> Grade | None:
        """The grade that counts."""
        return self.human or self.grade


@dataclass
class KeptContestant:
    """What is kept of a contestant; `items` by the cases' ids."""

    config: LaneConfig
    loaded: LoadedModel | None = None
    failure: str = ""
    items: dict[str, KeptItem] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The model, and the precision as counted or as requested."""
        config = self.config
        if self.loaded is not None and self.loaded.verified.precision is not None:
            config = LaneConfig(
                config.model, self.loaded.verified.precision, environment=config.environment
            )
        name = self.loaded.request.name if self.loaded is not None else config.model.source
        return f"{name} · {config.how}"


@dataclass
class KeptEvaluation:
    """A whole evaluation."""

    id: int
    created: float
    state: EvaluationState
    plan: EvaluationPlan
    suite: Suite
    contestants: list[KeptContestant]

    @property
    def cases(self) -> Mapping[str, Case]:
        """The suite's cases by their ids."""
        return {case.id: case for case in self.suite.cases}


@dataclass(frozen=True)
class EvaluationRow:
    """An evaluation in a list."""

    id: int
    created: float
    state: EvaluationState
    suite: str
    contestants: tuple[LaneConfig, ...]
    asked: int  # answers so far
    planned: int


def answer_key(prompt_key: str, loaded: LoadedModel, options: GenerationOptions) -> str:
    """Return a hash of all that decides an answer: prompt, model, precision and options.

    "" where a model's files are not known by their whole hash, or a server has it: then nothing
    is taken from an earlier evaluation.
    """
    commit = loaded.request.commit
    if not commit or commit.startswith("sampled:") or loaded.server is not None:
        return ""
    parts = (
        prompt_key,
        loaded.request.name,
        commit,
        loaded.verified.text,
        loaded.kernel,
        loaded.request.device,
        msgspec.json.encode(options).decode(),
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
