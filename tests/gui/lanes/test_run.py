"""A plan carried out over lanes on scripted engines: order, failures, stop, a lane removed."""

from __future__ import annotations

import os
import signal

import pytest
from pytestqt.qtbot import QtBot

from playground.client.engine import Engine
from playground.core.comparison import alternating
from playground.core.errors import EngineError
from playground.core.facts import Answer
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.lane import LaneConfig, Stage
from playground.core.run_plan import WARM_UP, GenerateStep, prompt_run, repeated_run
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.run import RunController, RunResult
from playground.gui.toolkit.background import Background
from tests.gui.support import LONG, MakeLane, scripted_prepare

PROMPT = RawPrompt("The old house")
SHORT = GenerationOptions(max_new_tokens=3)
ENDLESS = GenerationOptions(max_new_tokens=1_000_000)


class Record:
    """Records the signals of a run in order."""

    def __init__(self, run: RunController) -> None:
        self.steps: list[GenerateStep[LaneController]] = []
        self.answers: list[tuple[int, LaneController, Answer]] = []
        self.waiting: set[LaneController] = set()
        self.waited: list[set[LaneController]] = []  # at the beginning of each step
        run.stepped.connect(self._on_step)
        run.answered.connect(lambda step, *rest: self.answers.append((step.repeat, *rest)))
        run.waiting_changed.connect(self._on_wait)

    def _on_step(self, step: GenerateStep[LaneController]) -> None:
        self.steps.append(step)
        self.waited.append(set(self.waiting))

    def _on_wait(self, lane: LaneController, waits: bool) -> None:
        (self.waiting.add if waits else self.waiting.remove)(lane)


@pytest.fixture
def run(qtbot: QtBot) -> RunController:
    return RunController()


def finish(qtbot: QtBot, run: RunController) -> RunResult:
    with qtbot.waitSignal(run.finished, timeout=LONG) as waiting:
        pass
    result = waiting.args[0]
    assert isinstance(result, RunResult)
    assert not run.running
    return result


def generating(qtbot: QtBot, lane: LaneController) -> None:
    qtbot.waitUntil(lambda: lane.drain() and lane.state.stage is Stage.GENERATING, timeout=LONG)


def test_repeats_alternate_and_lanes_wait_between_their_turns(
    qtbot: QtBot, run: RunController, make_lane: MakeLane
) -> None:
    a, b = lanes = [make_lane(), make_lane()]
    record = Record(run)
    run.start(lanes, repeated_run(lanes, PROMPT, SHORT, 2))
    assert record.waiting == {a, b}
    result = finish(qtbot, run)
    assert result == RunResult((a, b), (), stopped=False)
    turns = [(WARM_UP, a), (WARM_UP, b), *alternating(lanes, 2)]
    assert [(repeat, lane) for repeat, lane, _ in record.answers] == turns
    assert all(len(answer.token_ids) == 3 for _, _, answer in record.answers)
    assert record.waited == [{b}, {a}, {b}, {a}, {a}, set()]
    assert not record.waiting


def test_a_lane_whose_load_fails_at_once_does_not_stop_the_others(
    qtbot: QtBot, run: RunController, make_lane: MakeLane, background: Background
) -> None:
    def refuse(_: str) -> Engine:
        raise EngineError("The environment is gone.")

    broken = LaneController(LaneConfig(), background, refuse, scripted_prepare)
    lane = make_lane()
    asked: list[LaneController] = []

    def prompt(one: LaneController) -> RawPrompt:
        asked.append(one)
        return PROMPT

    plan = prompt_run([broken, lane], prompt, SHORT, "in turn")
    run.start([broken, lane], plan)
    assert finish(qtbot, run) == RunResult((lane,), (broken,), stopped=False)
    assert asked == [lane]


def test_a_lane_that_dies_is_skipped_from_then_on(
    qtbot: QtBot, run: RunController, make_lane: MakeLane
) -> None:
    a, b = lanes = [make_lane("--fault", "sigkill", "--at", "generating"), make_lane()]
    record = Record(run)
    options = GenerationOptions(max_new_tokens=30)
    run.start(lanes, repeated_run(lanes, PROMPT, options, 3))
    assert finish(qtbot, run) == RunResult((b,), (a,), stopped=False)
    assert [step.lanes for step in record.steps] == [(a,), *[(b,)] * 4]
    assert [repeat for repeat, _, _ in record.answers] == [WARM_UP, 0, 1, 2]


def test_stop_ends_the_generation_and_every_turn_to_come(
    qtbot: QtBot, run: RunController, make_lane: MakeLane
) -> None:
    a, b = lanes = [make_lane("--rate", "200"), make_lane("--rate", "200")]
    record = Record(run)
    run.start(lanes, repeated_run(lanes, PROMPT, ENDLESS, 3))
    generating(qtbot, a)
    run.stop()
    assert not record.waiting
    assert finish(qtbot, run) == RunResult((a,), (), stopped=True)
    ((_, lane, answer),) = record.answers
    assert (lane, answer.stop_reason) == (a, "cancelled")
    assert len(record.steps) == 1
    assert {a.state.stage, b.state.stage} == {Stage.READY}


def test_stop_once_more_ends_an_engine_that_does_not_react(
    qtbot: QtBot, run: RunController, make_lane: MakeLane
) -> None:
    lane = make_lane("--fault", "hang", "--at", "generating")
    run.start([lane], prompt_run([lane], lambda _: PROMPT, ENDLESS, "in turn"))
    generating(qtbot, lane)
    run.stop()
    qtbot.waitUntil(lambda: lane.state.unresponsive, timeout=LONG)
    assert run.running
    with qtbot.waitSignal(run.finished, timeout=LONG) as waiting:
        run.stop()
    assert waiting.args[0] == RunResult((), (), stopped=True)


def test_a_run_goes_on_without_a_lane_that_is_discarded(
    qtbot: QtBot, run: RunController, make_lane: MakeLane
) -> None:
    a, b, c = lanes = [make_lane("--rate", "200"), make_lane(), make_lane()]
    record = Record(run)
    run.start(lanes, prompt_run(lanes, lambda _: PROMPT, ENDLESS, "in turn"))
    generating(qtbot, a)
    run.discard(b)  # it waits
    assert record.waiting == {c}
    run.discard(a)  # it generates
    generating(qtbot, c)
    assert [step.lanes for step in record.steps] == [(a,), (b,), (c,)]
    assert a.state.stage is Stage.GENERATING  # its end is whoever removes it
    assert b.state.stage is Stage.READY
    run.stop()
    assert finish(qtbot, run) == RunResult((c,), (), stopped=True)


def test_a_run_whose_lanes_are_all_discarded_ends(
    qtbot: QtBot, run: RunController, make_lane: MakeLane
) -> None:
    lane = make_lane("--delay", "reading_weights=60")
    run.start([lane], prompt_run([lane], lambda _: PROMPT, SHORT, "together"))
    qtbot.waitUntil(lambda: lane.state.stage is Stage.LOADING, timeout=LONG)
    with qtbot.waitSignal(run.finished, timeout=LONG) as waiting:
        run.discard(lane)
    assert waiting.args[0] == RunResult((), (), stopped=False)


def test_another_run_can_begin_as_soon_as_one_has_finished(
    qtbot: QtBot, run: RunController, make_lane: MakeLane
) -> None:
    lane = make_lane()
    results: list[RunResult] = []

    def begin_another(result: RunResult) -> None:
        results.append(result)
        if len(results) == 1:
            run.start([lane], prompt_run([lane], lambda _: PROMPT, SHORT, "in turn"))

    run.finished.connect(begin_another)
    run.start([lane], prompt_run([lane], lambda _: PROMPT, SHORT, "in turn"))
    run.start([lane], prompt_run([lane], lambda _: PROMPT, SHORT, "in turn"))  # not while one is on
    qtbot.waitUntil(lambda: len(results) == 2, timeout=LONG)
    assert results == [RunResult((lane,), (), stopped=False)] * 2


def test_a_lane_that_is_killed_together_with_others_is_the_one_that_failed(
    qtbot: QtBot, run: RunController, make_lane: MakeLane
) -> None:
    a, b = lanes = [make_lane("--rate", "200"), make_lane("--rate", "200")]
    options = GenerationOptions(max_new_tokens=400)
    run.start(lanes, prompt_run(lanes, lambda _: PROMPT, options, "together"))
    for lane in lanes:
        generating(qtbot, lane)
    os.kill(a.pid, signal.SIGKILL)
    assert finish(qtbot, run) == RunResult((b,), (a,), stopped=False)
