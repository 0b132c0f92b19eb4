"""Plans of runs: generators that decide which lane does what next, and are sent its answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeAlias, TypeVar

from playground.core.comparison import alternating
from playground.core.facts import Answer
from playground.core.generation import GenerationOptions, Prompt, Timing

#: What a plan calls a lane is its driver's choice: the plan only compares and hashes them.
LaneT = TypeVar("LaneT")
#: `GenerateStep.repeat` of a warm-up.
WARM_UP = -1


@dataclass(frozen=True)
class LoadStep(Generic[LaneT]):
    """Load the lanes that have no model, and wait until none of them is loading."""

    lanes: tuple[LaneT, ...]


@dataclass(frozen=True, kw_only=True)
class GenerateStep(Generic[LaneT]):
    """Let the lanes answer, all at the same time; a lane without a model is passed over.

    `prompt` is called once for each lane that can answer, just before it does. `waiting` holds
    the other lanes whose turn is still to come. The step is the plan's `number`th of `total`,
    from 0, and belongs to the repeat `repeat`.
    """

    lanes: tuple[LaneT, ...]
    prompt: Callable[[LaneT], Prompt]
    options: GenerationOptions
    timing: Timing
    waiting: tuple[LaneT, ...] = ()
    number: int = 0
    total: int = 1
    repeat: int = 0

    @property
    def counted(self) -> bool:
        """Whether the answers belong to the result; those of a warm-up do not."""
        return self.repeat != WARM_UP


Step: TypeAlias = LoadStep[LaneT] | GenerateStep[LaneT]
#: The answers to a step. A lane that failed, or was removed meanwhile, is not among them.
Answers: TypeAlias = Mapping[LaneT, Answer]
#: A driver stops a run by closing its plan.
Plan: TypeAlias = Generator[Step[LaneT], Answers[LaneT], None]


def next_step(plan: Plan[LaneT], answers: Answers[LaneT] | None = None) -> Step[LaneT] | None:
    """Send the answers to the last step, None before the first; None is the plan's end."""
    try:
        return next(plan) if answers is None else plan.send(answers)
    except StopIteration:
        return None


def prompt_run(
    lanes: Sequence[LaneT],
    prompt: Callable[[LaneT], Prompt],
    options: GenerationOptions,
    timing: Timing,
) -> Plan[LaneT]:
    """Load the lanes and let each answer once: in the order given, or all together.

    No lane generates before all have loaded: a load beside it would spoil the times.
    """
    yield LoadStep(tuple(lanes))
    turns = [tuple(lanes)] if timing == "together" else [(lane,) for lane in lanes]
    for number, turn in enumerate(turns):
        yield GenerateStep(
            lanes=turn,
            prompt=prompt,
            options=options,
            timing=timing,
            waiting=tuple(chain.from_iterable(turns[number + 1 :])),
            number=number,
            total=len(turns),
        )


def repeated_run(
    lanes: Sequence[LaneT], prompt: Prompt, options: GenerationOptions, repeats: int
) -> Plan[LaneT]:
    """Load the lanes, warm each up, and let each answer `repeats` times in alternating order.

    A lane that once does not answer is passed over from then on.
    """
    yield LoadStep(tuple(lanes))
    turns = [(WARM_UP, lane) for lane in lanes] + list(alternating(lanes, repeats))
    failed: set[LaneT] = set()
    for number, (repeat, lane) in enumerate(turns):
        if lane in failed:
            continue
        later = dict.fromkeys(other for _, other in turns[number + 1 :])
        answers = yield GenerateStep(
            lanes=(lane,),
            prompt=lambda _: prompt,
            options=options,
            timing="in turn",
            waiting=tuple(other for other in later if other != lane and other not in failed),
            number=number,
            total=len(turns),
            repeat=repeat,
        )
        if lane not in answers:
            failed.add(lane)
