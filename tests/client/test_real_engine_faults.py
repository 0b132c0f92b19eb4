"""Ends of real engines: killed in every phase, or left by their client."""

from __future__ import annotations

import os
import signal
import time

import pytest

from playground.client.engine_process import EngineProcess
from playground.core.facts import LoadRequest
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import Activity, Event, Finished, Generate, Load, Progress, Tokens
from playground.core.system.resources import resource
from tests.client.processes import engine_left_by_client, is_gone, until

REQUEST = LoadRequest(
    name="classics-6m",
    folder=str(resource("models", "classics-6m")),
    commit="",
    precision=Precision.BF16,
)


def long_generation() -> Generate:
    return Generate(
        request_id=1,
        prompt=RawPrompt("The old house"),
        options=GenerationOptions(max_new_tokens=100_000, ignore_eos=True),
        sent_at=time.monotonic(),
    )


@pytest.mark.parametrize("phase", [Activity.IMPORTING, Activity.READING_WEIGHTS, None])
def test_a_killed_engine_is_told_and_leaves_nothing(
    phase: Activity | None, request: pytest.FixtureRequest
) -> None:
    if phase is Activity.IMPORTING:
        request.getfixturevalue("fresh_engines")  # a forked one has imported already
    engine = EngineProcess()
    engine.start()
    engine.send(Load(REQUEST))
    engine.send(long_generation())
    events = engine.events()
    if phase is None:
        until(events, Tokens)
    else:
        until(events, Progress, lambda event: event.activity is phase)
    os.kill(engine.pid, signal.SIGKILL)
    rest: list[Event] = list(events)
    assert not any(isinstance(event, Finished) for event in rest)
    outcome = engine.close()
    assert not outcome.expected
    assert "SIGKILL" in outcome.text
    assert is_gone(engine.pid)


@pytest.mark.parametrize("line", ["importing", "Tokens"])
def test_a_real_engine_does_not_survive_its_client(line: str) -> None:
    program = (
        "from playground.client.engine_process import EngineProcess\n"
        "from playground.core.protocol import Load\n"
        "from tests.client.test_real_engine_faults import REQUEST, long_generation\n"
        "engine = EngineProcess(); engine.start()\n"
        "engine.send(Load(REQUEST)); engine.send(long_generation())\n"
        "print(engine.pid, flush=True)\n"
        "for event in engine.events():\n"
        "    print(getattr(event, 'activity', type(event).__name__), flush=True)\n"
    )
    assert is_gone(engine_left_by_client(program, line))
