"""A plan carried out over sessions with scripted engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from playground.client.blocking_run import carry_out
from playground.client.engine_process import EngineProcess
from playground.client.session import Interrupted, Session
from playground.core.comparison import alternating
from playground.core.errors import PlaygroundError
from playground.core.facts import Answer
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.protocol import Event, Tokens
from playground.core.run_plan import WARM_UP, GenerateStep, prompt_run, repeated_run
from tests.client.test_engine_process import REQUEST
from tests.support.scripted_engine import scripted_command

PROMPT = RawPrompt("The old house")
OPTIONS = GenerationOptions(max_new_tokens=30)


class Lane:
    """A session with a scripted engine."""

    def __init__(self, *options: str) -> None:
        self.session = Session(engine=EngineProcess(scripted_command(*options)))
        self.failure: PlaygroundError | None = None

    def load(self) -> None:
        try:
            self.session.load(REQUEST)
        except PlaygroundError as error:
            self.fail(error)

    def fail(self, error: PlaygroundError) -> None:
        assert self.failure is None
        self.failure = error


class Record:
    """What was begun and answered, in order."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, Lane]] = []
        self.answered: list[tuple[int, Lane]] = []

    def begin(self, step: GenerateStep[Lane], lane: Lane) -> None:
        self.begun.append((step.repeat, lane))

    def answer(self, step: GenerateStep[Lane], lane: Lane, answer: Answer) -> None:
        assert len(answer.token_ids) == OPTIONS.max_new_tokens
        assert answer.stamp.timing == "in turn"
        self.answered.append((step.repeat, lane))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def lanes_of(stack: ExitStack, *options: tuple[str, ...]) -> list[Lane]:
    lanes = [Lane(*chosen) for chosen in options]
    for lane in lanes:
        stack.enter_context(lane.session)
    return lanes


def test_lanes_load_and_answer_in_the_order_of_the_plan(stack: ExitStack) -> None:
    a, b = lanes = lanes_of(stack, (), ())
    record = Record()
    carry_out(repeated_run(lanes, PROMPT, OPTIONS, 2), record.begin, record.answer)
    assert record.begun == record.answered == [(WARM_UP, a), (WARM_UP, b), *alternating(lanes, 2)]
    assert a.failure is b.failure is None


@pytest.mark.parametrize("phase", ["reading_weights", "generating"])
@pytest.mark.parametrize("fault", ["out-of-memory", "sigkill"])
def test_a_lane_that_fails_is_passed_over(stack: ExitStack, phase: str, fault: str) -> None:
    a, b = lanes = lanes_of(stack, ("--fault", fault, "--at", phase), ())
    record = Record()
    carry_out(repeated_run(lanes, PROMPT, OPTIONS, 2), record.begin, record.answer)
    assert record.answered == [(WARM_UP, b), (0, b), (1, b)]
    tried = [(WARM_UP, a)] if phase == "generating" else []
    assert record.begun == [*tried, *record.answered]
    assert a.failure is not None
    assert ("memory" if fault == "out-of-memory" else "SIGKILL") in a.failure.message
    assert b.failure is None


def test_an_interrupted_answer_ends_the_run(stack: ExitStack) -> None:
    (lane,) = lanes = lanes_of(stack, ("--rate", "100"))

    def interrupt(event: Event) -> None:
        if isinstance(event, Tokens):
            lane.session.interrupt()

    lane.session.observe = interrupt
    record = Record()
    with pytest.raises(Interrupted):
        carry_out(
            prompt_run(lanes, lambda _: PROMPT, OPTIONS, "in turn"), record.begin, record.answer
        )
    assert record.begun == [(0, lane)]
    assert record.answered == []
    assert lane.failure is None


def test_sessions_cannot_answer_together(stack: ExitStack) -> None:
    lanes = lanes_of(stack, ())
    record = Record()
    with pytest.raises(ValueError, match="together"):
        carry_out(
            prompt_run(lanes, lambda _: PROMPT, OPTIONS, "together"), record.begin, record.answer
        )
    assert record.begun == []
