"""A lane's state, and the pure function that moves it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from playground.core.facts import LoadedModel, ModelSpec
from playground.core.precision import Precision
from playground.core.protocol import (
    Activity,
    Estimated,
    Event,
    Failed,
    Finished,
    Hello,
    Loaded,
    Progress,
    Quantized,
    Quantizing,
    Ready,
    Started,
    Tokens,
)


@dataclass(frozen=True)
class LaneConfig:
    """What the user chose for a lane."""

    model: ModelSpec = field(default_factory=ModelSpec)
    precision: Precision = Precision.BF16
    device: str = "cpu"
    environment: str = ""  # the name of another Python for the engine


class Stage(StrEnum):
    EMPTY = "empty"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    GENERATING = "generating"
    FAILED = "failed"
    UNLOADING = "unloading"


@dataclass(frozen=True)
class Failure:
    """What the view shows of a failure; `detail` only on request.

    `may_insist`: a load was refused for lack of memory and can be tried anyway.
    `remote_code`: agreeing to the model's own code would remedy it.
    """

    message: str
    remedy: str = ""
    detail: str = ""
    may_insist: bool = False
    remote_code: bool = False


@dataclass(frozen=True)
class LaneState:
    """All that a lane's view shows. `since` is the monotonic time the activity began."""

    stage: Stage = Stage.EMPTY
    activity: Activity | None = None
    fraction: float | None = None
    detail: str = ""
    since: float = 0.0
    loaded: LoadedModel | None = None
    failure: Failure | None = None
    freed: str = ""  # after unloading: what was measured to come back

    @property
    def busy(self) -> bool:
        return self.stage in (Stage.STARTING, Stage.LOADING, Stage.GENERATING, Stage.UNLOADING)

    @property
    def can_generate(self) -> bool:
        return self.stage is Stage.READY


# Happenings that no engine event carries


@dataclass(frozen=True)
class LoadRequested:
    """The user (or a run) wants the model; a process is being started or is warm."""

    warm: bool = False


@dataclass(frozen=True)
class GenerateSent:
    """A generation was sent to the engine."""


@dataclass(frozen=True)
class UnloadRequested:
    """The model is to go."""


@dataclass(frozen=True)
class ProcessEnded:
    """The engine process is gone. `expected`: we ended it; `outcome`: how, as a sentence."""

    expected: bool
    outcome: str
    remedy: str = ""
    detail: str = ""
    freed: str = ""


@dataclass(frozen=True)
class Refused:
    """The lane could not even start (the model's folder is wrong, the Hub is out of reach)."""

    failure: Failure


LaneEvent = LoadRequested | GenerateSent | UnloadRequested | ProcessEnded | Refused | Event


def advance(state: LaneState, happening: LaneEvent, now: float) -> LaneState:
    """Return the state after the happening; one that does not fit the stage changes nothing."""
    match happening:
        case LoadRequested(warm=warm):
            stage = Stage.LOADING if warm else Stage.STARTING
            activity = Activity.READING_WEIGHTS if warm else Activity.STARTING
            return LaneState(stage=stage, activity=activity, since=now)
        case Refused(failure=failure):
            return LaneState(stage=Stage.FAILED, failure=failure)
        case UnloadRequested():
            return replace(state, stage=Stage.UNLOADING, activity=None, fraction=None, since=now)
        case ProcessEnded():
            return _ended(state, happening)
        case Hello() | Ready() | Estimated() | Quantizing() | Quantized():
            return state
        case Progress():
            return _progressed(state, happening, now)
        case Loaded(model=model):
            if state.stage not in (Stage.STARTING, Stage.LOADING):
                return state
            return LaneState(stage=Stage.READY, loaded=model)
        case GenerateSent():
            return replace(
                state,
                stage=Stage.GENERATING,
                activity=Activity.READING_PROMPT,
                fraction=None,
                detail="",
                since=now,
                failure=None,
            )
        case Started(prompt_tokens=count):
            return replace(state, detail=f"{count} tokens")
        case Tokens():
            if state.activity is Activity.GENERATING or state.stage is not Stage.GENERATING:
                return state
            return replace(state, activity=Activity.GENERATING, detail="", since=now)
        case Finished():
            if state.stage is not Stage.GENERATING:
                return state
            return LaneState(stage=Stage.READY, loaded=state.loaded)
        case Failed():
            return _failed(state, happening)


def _progressed(state: LaneState, event: Progress, now: float) -> LaneState:
    if state.stage is Stage.STARTING and event.activity is not Activity.STARTING:
        state = replace(state, stage=Stage.LOADING)
    if state.stage not in (Stage.LOADING, Stage.GENERATING):
        return state
    since = state.since if state.activity is event.activity else now
    return replace(
        state,
        activity=event.activity,
        fraction=event.fraction,
        detail=event.detail,
        since=since,
    )


def _failed(state: LaneState, event: Failed) -> LaneState:
    failure = Failure(
        event.message, event.remedy, event.detail, event.may_insist, event.remote_code
    )
    if state.stage is Stage.GENERATING and event.alive:
        return LaneState(stage=Stage.READY, loaded=state.loaded, failure=failure)
    return LaneState(stage=Stage.FAILED, failure=failure)


def _ended(state: LaneState, event: ProcessEnded) -> LaneState:
    if state.stage is Stage.FAILED:
        return state  # it told us why before it went
    if event.expected or state.stage in (Stage.UNLOADING, Stage.EMPTY):
        return LaneState(freed=event.freed)
    return LaneState(stage=Stage.FAILED, failure=Failure(event.outcome, event.remedy, event.detail))


#: A lane's model and its precision.
LaneChoice = tuple[ModelSpec, Precision]
