"""Drives a plan over sessions, one blocking step after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from playground.client.session import Interrupted, Session
from playground.core.errors import PlaygroundError
from playground.core.facts import Answer
from playground.core.run_plan import GenerateStep, LoadStep, Plan, next_step


class SessionLane(Protocol):
    """A session that a plan calls a lane."""

    session: Session
    failure: PlaygroundError | None

    def load(self) -> None:
        """Load the lane's model; a failure is kept in `failure`."""

    def fail(self, error: PlaygroundError) -> None:
        """Keep a failure in `failure`: nothing more is asked of the lane."""


LaneT = TypeVar("LaneT", bound=SessionLane)


def carry_out(
    plan: Plan[LaneT],
    begun: Callable[[GenerateStep[LaneT], LaneT], None],
    answered: Callable[[GenerateStep[LaneT], LaneT, Answer], None],
) -> None:
    """Carry out a plan; call `begun` before each generation and `answered` after it.

    Lanes answer one after the other, so that a plan of lanes that answer together is refused
    with ValueError. Raises Interrupted where an answer was cut short.
    """
    step = next_step(plan)
    while step is not None:
        answers: dict[LaneT, Answer] = {}
        if isinstance(step, LoadStep):
            for lane in step.lanes:
                lane.load()
        elif step.timing == "together":
            raise ValueError("sessions cannot answer together")
        else:
            for lane in step.lanes:
                if lane.failure is not None:
                    continue
                begun(step, lane)
                try:
                    answer = lane.session.generate(step.prompt(lane), step.options, step.timing)
                except PlaygroundError as error:
                    lane.fail(error)
                    continue
                if answer.stop_reason == "cancelled":
                    raise Interrupted
                answers[lane] = answer
                answered(step, lane, answer)
        step = next_step(plan, answers)
