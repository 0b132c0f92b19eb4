"""One lane against a scripted engine: every phase, every way out, every fault."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import replace

import psutil
import pytest
from pytestqt.qtbot import QtBot

from playground.client.engine_process import EngineProcess
from playground.core.facts import EngineFacts
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.lane import LaneConfig, Stage
from playground.core.memory.plan import MemoryPlan
from playground.core.model.weights import WeightBytes
from playground.core.precision import Precision
from playground.core.protocol import Activity
from playground.gui.lanes.lane import LaneController
from playground.gui.toolkit.background import Background
from playground.hub.local.prepare import Prepared
from tests.gui.support import LONG, MakeLane, scripted_prepare
from tests.support.scripted_engine import TOKENS_BEFORE_FAULT, scripted_command

PROMPT = RawPrompt("Once upon a time")
OPTIONS = GenerationOptions(max_new_tokens=200)


def reach(qtbot: QtBot, lane: LaneController, stage: Stage) -> None:
    def reached() -> bool:
        lane.drain()
        return lane.state.stage is stage

    qtbot.waitUntil(reached, timeout=LONG)


def ready(qtbot: QtBot, lane: LaneController) -> None:
    lane.load()
    reach(qtbot, lane, Stage.READY)


def generating(qtbot: QtBot, lane: LaneController, tokens: int = 20_000) -> None:
    ready(qtbot, lane)
    assert lane.generate(PROMPT, GenerationOptions(max_new_tokens=tokens), "in turn")

    def streams() -> bool:
        lane.drain()
        return lane.generation is not None and len(lane.generation.trace) >= TOKENS_BEFORE_FAULT

    qtbot.waitUntil(streams, timeout=LONG)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


def test_text_and_trace_arrive_before_the_answer_and_agree_with_it(
    qtbot: QtBot, make_lane: MakeLane
) -> None:
    lane = make_lane("--rate", "2000")
    stages: list[Stage] = []
    order: list[str] = []
    lane.state_changed.connect(lambda: stages.append(lane.state.stage))
    lane.text_arrived.connect(lambda text: order.append(text))
    lane.answered.connect(lambda _: order.append("<answered>"))
    ready(qtbot, lane)
    assert lane.generate(PROMPT, OPTIONS, "in turn")
    reach(qtbot, lane, Stage.READY)
    assert lane.generation is not None
    answer = lane.generation.answer
    assert answer is not None
    assert order[-1] == "<answered>"
    assert "".join(order[:-1]) == answer.text
    assert lane.generation.trace.times.tolist() == list(answer.times)
    seen = list(dict.fromkeys(stages))
    assert seen == [Stage.STARTING, Stage.LOADING, Stage.READY, Stage.GENERATING]


def test_an_engine_started_ahead_is_the_one_that_loads(qtbot: QtBot, make_lane: MakeLane) -> None:
    lane = make_lane()
    with qtbot.waitSignal(lane.facts_arrived, timeout=LONG):
        lane.start_ahead()
    pid = lane.pid
    assert lane.state.stage is Stage.EMPTY
    ready(qtbot, lane)
    assert lane.pid == pid


def test_unloading_ends_the_process_and_reports_the_memory_freed(
    qtbot: QtBot, make_lane: MakeLane
) -> None:
    lane = make_lane()
    ready(qtbot, lane)
    pid = lane.pid
    lane.unload()
    assert lane.state.stage is Stage.UNLOADING
    reach(qtbot, lane, Stage.EMPTY)
    assert gone(pid)
    assert lane.state.freed.startswith("Freed ")
    assert lane.state.freed.endswith(" MB; the engine has ended.")


@pytest.mark.parametrize(
    "phase", ["starting", "importing", "reading_weights", "quantizing", "warming_up"]
)
def test_a_load_can_be_cancelled_in_every_phase(
    qtbot: QtBot, make_lane: MakeLane, phase: str
) -> None:
    lane = make_lane("--delay", f"{phase}=60")
    lane.load()
    wanted = Activity[phase.upper()]
    qtbot.waitUntil(lambda: lane.pid > 0 and lane.state.activity is wanted, timeout=LONG)
    pid = lane.pid
    lane.cancel()
    reach(qtbot, lane, Stage.EMPTY)
    assert gone(pid)
    assert lane.state.failure is None


def test_a_load_can_be_cancelled_at_once(qtbot: QtBot, make_lane: MakeLane) -> None:
    lane = make_lane()
    lane.load()
    lane.cancel()
    reach(qtbot, lane, Stage.EMPTY)
    ready(qtbot, lane)


def test_stop_keeps_the_tokens_and_the_model(qtbot: QtBot, make_lane: MakeLane) -> None:
    lane = make_lane("--rate", "200")
    generating(qtbot, lane)
    lane.cancel()
    reach(qtbot, lane, Stage.READY)
    assert lane.generation is not None
    assert lane.generation.answer is not None
    assert lane.generation.answer.stop_reason == "cancelled"
    assert len(lane.generation.trace) == len(lane.generation.answer.token_ids) > 0


def test_an_engine_that_ignores_a_stop_can_be_ended(qtbot: QtBot, make_lane: MakeLane) -> None:
    lane = make_lane("--rate", "500", "--fault", "hang", "--at", "generating")
    generating(qtbot, lane)
    lane.cancel()
    qtbot.waitUntil(lambda: lane.state.unresponsive, timeout=LONG)
    pid = lane.pid
    lane.cancel()
    reach(qtbot, lane, Stage.EMPTY)
    assert gone(pid)


def test_another_precision_reloads_the_model(qtbot: QtBot, make_lane: MakeLane) -> None:
    lane = make_lane()
    ready(qtbot, lane)
    pid = lane.pid
    lane.set_config(replace(lane.config, precision=Precision.INT8))
    qtbot.waitUntil(
        lambda: lane.state.stage is Stage.READY and lane.pid not in (0, pid), timeout=LONG
    )
    assert gone(pid)
    assert lane.state.loaded is not None
    assert lane.state.loaded.request.precision is Precision.INT8


def test_another_precision_during_the_load_wins(qtbot: QtBot, make_lane: MakeLane) -> None:
    lane = make_lane("--delay", "reading_weights=0.3")
    lane.load()
    qtbot.waitUntil(lambda: lane.state.activity is Activity.READING_WEIGHTS, timeout=LONG)
    lane.set_config(replace(lane.config, precision=Precision.NF4))
    reach(qtbot, lane, Stage.READY)
    assert lane.state.loaded is not None
    assert lane.state.loaded.request.precision is Precision.NF4


@pytest.mark.parametrize(
    "phase", ["importing", "reading_weights", "warming_up", "reading_prompt", "generating"]
)
def test_a_killed_engine_is_reported_and_the_lane_loads_again(
    qtbot: QtBot, make_lane: MakeLane, phase: str
) -> None:
    lane = make_lane("--rate", "100", "--delay", f"{phase}=60")
    wanted = Activity[phase.upper()]
    if phase in ("reading_prompt", "generating"):
        ready(qtbot, lane)
        lane.generate(PROMPT, GenerationOptions(max_new_tokens=10_000), "in turn")
    else:
        lane.load()

    def there() -> bool:
        lane.drain()
        return lane.pid > 0 and lane.state.activity is wanted

    qtbot.waitUntil(there, timeout=LONG)
    os.kill(lane.pid, signal.SIGKILL)
    reach(qtbot, lane, Stage.FAILED)
    assert lane.state.failure is not None
    assert "SIGKILL" in lane.state.failure.message
    assert lane.state.failure.remedy


def test_an_engine_killed_while_unloading_is_no_failure(qtbot: QtBot, make_lane: MakeLane) -> None:
    lane = make_lane("--fault", "hang", "--at", "unloading")
    ready(qtbot, lane)
    pid = lane.pid
    lane.unload()
    os.kill(pid, signal.SIGKILL)
    reach(qtbot, lane, Stage.EMPTY)
    assert gone(pid)


@pytest.mark.parametrize("phase", ["importing", "reading_weights", "generating"])
@pytest.mark.parametrize("fault", ["garbage", "wrong-version", "half-frame", "close-stdout"])
def test_invalid_data_from_the_engine_fails_the_lane(
    qtbot: QtBot, make_lane: MakeLane, phase: str, fault: str
) -> None:
    lane = make_lane("--rate", "1000", "--fault", fault, "--at", phase)
    lane.load()
    if phase == "generating":
        reach(qtbot, lane, Stage.READY)
        lane.generate(PROMPT, OPTIONS, "in turn")
    with qtbot.waitSignal(lane.gone, timeout=LONG):
        pass
    assert lane.state.stage is Stage.FAILED
    assert lane.state.failure is not None
    assert lane.state.failure.message
    if phase == "generating":
        assert lane.generation is not None
        assert len(lane.generation.trace) == TOKENS_BEFORE_FAULT


def test_out_of_memory_while_generating_keeps_the_model(qtbot: QtBot, make_lane: MakeLane) -> None:
    lane = make_lane("--fault", "out-of-memory", "--at", "generating")
    ready(qtbot, lane)
    with qtbot.waitSignal(lane.broken, timeout=LONG):
        lane.generate(PROMPT, OPTIONS, "in turn")
    assert lane.state.stage is Stage.READY
    assert lane.state.failure is not None


def test_a_failed_load_ends_its_process(qtbot: QtBot, make_lane: MakeLane) -> None:
    lane = make_lane("--fault", "out-of-memory", "--at", "reading_weights")
    with qtbot.waitSignal(lane.gone, timeout=LONG):
        lane.load()
    assert lane.state.stage is Stage.FAILED
    assert lane.state.failure is not None
    assert "not enough memory" in lane.state.failure.message


def test_a_load_requested_while_a_failed_engine_ends_is_under_way(
    qtbot: QtBot, make_lane: MakeLane
) -> None:
    lane = make_lane("--fault", "out-of-memory", "--at", "reading_weights")
    lane.load()
    reach(qtbot, lane, Stage.FAILED)
    lane.load()
    assert lane.state.busy
    reach(qtbot, lane, Stage.FAILED)


def test_an_engine_that_cannot_be_started_is_reported(qtbot: QtBot, background: Background) -> None:
    lane = LaneController(
        LaneConfig(), background, lambda _: EngineProcess(["/no/such/python"]), scripted_prepare
    )
    with qtbot.waitSignal(lane.gone, timeout=LONG):
        lane.load()
    assert lane.state.stage is Stage.FAILED
    assert lane.state.failure is not None
    assert "could not be started" in lane.state.failure.message


def test_too_little_memory_is_reported_and_can_be_overruled(
    qtbot: QtBot, background: Background
) -> None:
    def big(config: LaneConfig, facts: EngineFacts | None) -> Prepared:
        made = MemoryPlan(
            precision=config.precision,
            device="cpu",
            context=512,
            weights=WeightBytes(13_000_000_000, 0, 0),
            cache=200_000_000,
            process=0,
            workspace=0,
            loading=0,
        )
        return replace(scripted_prepare(config, facts), plan=made)

    lane = LaneController(
        LaneConfig(),
        background,
        lambda _: EngineProcess(scripted_command()),
        big,
        lambda _device, _facts: 8_100_000_000,
    )
    lane.load()
    reach(qtbot, lane, Stage.FAILED)
    assert lane.state.failure is not None
    assert "13.2 GB" in lane.state.failure.message
    # With what the lane's own process holds.
    assert re.search(r"\b8\.1\d GB are free\.", lane.state.failure.message)
    assert "close other programs" in lane.state.failure.remedy
    assert lane.state.failure.may_insist
    lane.load()
    reach(qtbot, lane, Stage.FAILED)
    lane.load(insist=True)
    reach(qtbot, lane, Stage.READY)
    lane.shut_down()
    assert lane.wait(60_000)


def test_shutting_down_three_generating_lanes_is_quick_and_complete(
    qtbot: QtBot, make_lane: MakeLane
) -> None:
    lanes = [make_lane("--rate", "1000") for _ in range(3)]
    for lane in lanes:
        generating(qtbot, lane, 1_000_000)
    pids = [lane.pid for lane in lanes]
    for lane in lanes:
        lane.shut_down()
    assert all(lane.wait(60_000) for lane in lanes)
    assert all(gone(pid) for pid in pids)
