"""A lane's states, and the events that lead from one to the next."""

from __future__ import annotations

import pytest

from playground.core.lane import (
    Failure,
    GenerateSent,
    LaneState,
    LoadRequested,
    ProcessEnded,
    Refused,
    Stage,
    UnloadRequested,
    advance,
)
from playground.core.protocol import Activity, Failed, Hello, Progress, Started, Tokens

LOADING = advance(LaneState(), LoadRequested(warm=True), 1.0)
GENERATING = LaneState(stage=Stage.GENERATING, activity=Activity.READING_PROMPT, since=5.0)


def test_loading_names_its_phase_and_keeps_its_clock() -> None:
    state = advance(LaneState(), LoadRequested(), 1.0)
    assert (state.stage, state.activity, state.since) == (Stage.STARTING, Activity.STARTING, 1.0)
    state = advance(state, Hello(pid=1), 1.5)
    state = advance(state, Progress(Activity.IMPORTING), 2.0)
    assert (state.stage, state.activity, state.since) == (Stage.LOADING, Activity.IMPORTING, 2.0)
    state = advance(state, Progress(Activity.READING_WEIGHTS, 0.25), 7.0)
    state = advance(state, Progress(Activity.READING_WEIGHTS, 0.75), 8.0)
    assert (state.fraction, state.since) == (0.75, 7.0)


def test_reading_the_prompt_ends_with_the_first_token() -> None:
    state = LaneState(stage=Stage.READY)
    state = advance(state, GenerateSent(), 3.0)
    assert (state.stage, state.activity) == (Stage.GENERATING, Activity.READING_PROMPT)
    state = advance(state, Started(request_id=1, prompt_tokens=12), 3.1)
    assert state.detail == "12 tokens"
    tokens = Tokens(request_id=1, ids=(5,), texts=("a",), times=(0.2,))
    state = advance(state, tokens, 4.0)
    assert (state.activity, state.since) == (Activity.GENERATING, 4.0)
    assert advance(state, tokens, 9.0) is state


def test_a_failed_generation_leaves_the_model_loaded() -> None:
    state = advance(GENERATING, Failed("Too long.", "Shorten it.", request_id=1), 6.0)
    assert state.stage is Stage.READY
    assert state.failure == Failure("Too long.", "Shorten it.")


@pytest.mark.parametrize("state", [LOADING, GENERATING], ids=["loading", "generating"])
def test_a_process_that_dies_fails_the_lane_with_its_outcome(state: LaneState) -> None:
    after = advance(
        state, ProcessEnded(expected=False, outcome="It was killed.", remedy="Load."), 9
    )
    assert after.stage is Stage.FAILED
    assert after.failure == Failure("It was killed.", "Load.")


def test_a_failed_load_keeps_its_reason_when_the_process_goes() -> None:
    failed = advance(LOADING, Failed("No memory.", "Unload a lane.", alive=False), 2.0)
    gone = advance(failed, ProcessEnded(expected=False, outcome="exit code 1"), 3.0)
    assert gone.failure == Failure("No memory.", "Unload a lane.")


def test_unloading_shows_what_was_freed() -> None:
    state = advance(LaneState(stage=Stage.READY), UnloadRequested(), 1.0)
    assert state.stage is Stage.UNLOADING
    state = advance(state, ProcessEnded(expected=True, outcome="", freed="Freed 300 MB."), 2.0)
    assert state == LaneState(freed="Freed 300 MB.")


def test_late_events_change_nothing() -> None:
    ready = LaneState(stage=Stage.READY)
    assert advance(ready, Progress(Activity.WARMING_UP), 1.0) == ready
    failed = advance(LaneState(), Refused(Failure("No such folder.")), 1.0)
    assert advance(failed, Progress(Activity.IMPORTING), 2.0) == failed
