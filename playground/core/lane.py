"""A lane's state, and `advance`, the pure function from one state to the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from playground.core.environments import REMOTE
from playground.core.facts import LoadedModel, ModelSpec
from playground.core.precision import Precision
from playground.core.protocol import (
    Activity,
    Alive,
    ContinuationsScored,
    Counted,
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
    Scored,
    ServerSeen,
    Started,
    Tokens,
)


@dataclass(frozen=True)
class LaneConfig:
    """What the user chose for a lane."""

    model: ModelSpec = field(default_factory=ModelSpec)
    precision: Precision = Precision.BF16
    device: str = "cpu"
    environment: str = ""  # the name of the engine's Python, "" for the playground's own
    server: str = ""  # the name of the server that runs the model, "" for this machine

    @property
    def runs_on(self) -> str:
        """The name of the environment or server, "" for the playground's own Python."""
        return self.server or self.environment

    @property
    def how(self) -> str:
        """The precision and the environment, "int8 · second", or the server's name."""
        if self.server:
            return self.server
        return " · ".join(filter(None, (self.precision.short_label, self.environment)))

    @property
    def engine_environment(self) -> str:
        """What the lane's engine runs in: an environment's name, or REMOTE."""
        return REMOTE if self.server else self.environment


def placed(config: LaneConfig, local: LaneConfig, environment: str, server: str) -> LaneConfig:
    """Return a lane's configuration once it runs in an environment, or on a server.

    On another server any model may be there: the server's only one is asked for until one is
    chosen. `local` is what the lane was last set to on this machine, to return to.
    """
    if server == config.server:
        return replace(config, environment=environment)
    if server:
        return LaneConfig(ModelSpec(""), Precision.SERVER, server=server)
    return replace(local, environment=environment, server="")


class Stage(StrEnum):
    """Where a lane is between empty and generating."""

    EMPTY = "empty"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    GENERATING = "generating"
    FAILED = "failed"
    UNLOADING = "unloading"


@dataclass(frozen=True)
class Failure:
    """What the window shows of a failure; `detail` on request only.

    `may_insist`: a load was refused for lack of memory, and the user may load anyway.
    `remote_code`: agreeing to run the model's code would remedy it.
    """

    message: str
    remedy: str = ""
    detail: str = ""
    may_insist: bool = False
    remote_code: bool = False


@dataclass(frozen=True)
class LaneState:
    """Everything a lane's view shows. `since` is the monotonic time at which the activity began."""

    stage: Stage = Stage.EMPTY
    activity: Activity | None = None
    fraction: float | None = None
    detail: str = ""
    since: float = 0.0
    loaded: LoadedModel | None = None
    failure: Failure | None = None
    freed: str = ""  # after unloading: how much memory was freed, as measured
    unresponsive: bool = False  # the engine gives no sign of life, or did not react to a stop

    @property
    def busy(self) -> bool:
        return self.stage in (Stage.STARTING, Stage.LOADING, Stage.GENERATING, Stage.UNLOADING)

    @property
    def can_generate(self) -> bool:
        return self.stage is Stage.READY


# Events that do not come from an engine


@dataclass(frozen=True)
class LoadRequested:
    """The user or a run requests the model. `warm`: its engine has imported its libraries."""

    warm: bool = False


@dataclass(frozen=True)
class GenerateSent:
    """A generation was sent to the engine."""


@dataclass(frozen=True)
class UnloadRequested:
    """The user requests that the model be unloaded."""


@dataclass(frozen=True)
class ProcessEnded:
    """The engine process ended. `expected`: the client ended it; `outcome`: how, as a sentence."""

    expected: bool
    outcome: str
    remedy: str = ""
    detail: str = ""
    freed: str = ""


@dataclass(frozen=True)
class Refused:
    """The load was refused before an engine was asked, as when the model's folder is missing."""

    failure: Failure


LaneEvent = LoadRequested | GenerateSent | UnloadRequested | ProcessEnded | Refused | Event


def advance(state: LaneState, event: LaneEvent, now: float) -> LaneState:
    """Return the state after an event; one that does not fit the stage changes nothing."""
    match event:
        case LoadRequested(warm=warm):
            stage = Stage.LOADING if warm else Stage.STARTING
            activity = Activity.READING_WEIGHTS if warm else Activity.STARTING
            return LaneState(stage=stage, activity=activity, since=now)
        case Refused(failure=failure):
            return LaneState(stage=Stage.FAILED, failure=failure)
        case UnloadRequested():
            return replace(state, stage=Stage.UNLOADING, activity=None, fraction=None, since=now)
        case ProcessEnded():
            return _ended(state, event)
        case Hello() | Alive() | Ready() | Estimated() | Quantizing() | Quantized() | Scored():
            return state
        case ServerSeen() | Counted() | ContinuationsScored():
            return state
        case Progress():
            return _progressed(state, event, now)
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
            return _failed(state, event)


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
        return state  # the engine reported why before it ended
    if event.expected or state.stage in (Stage.UNLOADING, Stage.EMPTY):
        return LaneState(freed=event.freed)
    return LaneState(stage=Stage.FAILED, failure=Failure(event.outcome, event.remedy, event.detail))


#: A lane's model and its precision.
LaneChoice = tuple[ModelSpec, Precision]
