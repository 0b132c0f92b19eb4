"""Standby engines: taken by a lane, replaced, ended, killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest
from pytestqt.qtbot import QtBot

from playground.app.main import Playground
from playground.client.engine_process import EngineProcess
from playground.core.errors import EngineError
from playground.core.lane import LaneConfig, Stage
from playground.core.precision import Precision
from playground.core.protocol import Activity
from playground.core.settings import Settings
from playground.gui.engines.standby import KEEP_FREE, START_FREE, StandbyEngines
from playground.gui.toolkit.notify import Notify
from tests.gui.support import LONG, MakeWindow, standby_pids, standby_ready
from tests.support.scripted_engine import scripted_command

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)

MakeStandby = Callable[..., StandbyEngines]


class Memory:
    """Free memory that a test sets."""

    def __init__(self) -> None:
        self.free = 2 * START_FREE

    def __call__(self) -> int:
        return self.free


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def make_standby(qtbot: QtBot, memory: Memory) -> Iterator[MakeStandby]:
    made: list[StandbyEngines] = []

    def make(*options: str) -> StandbyEngines:
        def process(environment: str) -> EngineProcess:
            if environment == "gone":
                raise EngineError("The environment is gone.")
            return EngineProcess(scripted_command(*options))

        standby = StandbyEngines(process, Notify(), memory)
        made.append(standby)
        return standby

    yield make
    for standby in made:
        standby.shut_down()
        assert standby.wait(60_000)


def wait_for_standby(qtbot: QtBot, standby: StandbyEngines) -> int:
    """Return the process id of the own environment's standby engine, once it can load."""
    qtbot.waitUntil(lambda: standby_ready(standby) and "" in standby_pids(standby), timeout=LONG)
    return standby_pids(standby)[""]


def gone(qtbot: QtBot, pid: int) -> None:
    qtbot.waitUntil(lambda: not psutil.pid_exists(pid), timeout=LONG)


def loaded(qtbot: QtBot, playground: Playground) -> None:
    lane = playground.lanes.lanes[0]
    qtbot.waitUntil(lambda: lane.state.stage is Stage.READY, timeout=LONG)


def test_a_changed_precision_takes_the_standby_engine_and_another_one_waits(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(settings=Settings(lanes=(LaneConfig(),)), standby=True)
    lane = playground.lanes.lanes[0]
    playground.start_ahead()
    first = wait_for_standby(qtbot, playground.standby)
    own = lane.pid
    lane.load()
    loaded(qtbot, playground)
    assert lane.pid == own != first
    activities = []
    lane.state_changed.connect(lambda: activities.append(lane.state.activity))
    lane.set_config(replace(lane.config, precision=Precision.INT8))
    loaded(qtbot, playground)
    assert lane.pid == first
    assert Activity.IMPORTING not in activities
    gone(qtbot, own)
    second = wait_for_standby(qtbot, playground.standby)
    assert second not in (own, first)


def test_a_killed_standby_engine_is_replaced_but_not_for_ever(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(settings=Settings(lanes=(LaneConfig(),)), standby=True)
    playground.start_ahead()
    standby, lane = playground.standby, playground.lanes.lanes[0]
    first = wait_for_standby(qtbot, standby)
    os.kill(first, signal.SIGKILL)
    qtbot.waitUntil(lambda: standby_pids(standby).get("", first) != first, timeout=LONG)
    second = wait_for_standby(qtbot, standby)
    os.kill(second, signal.SIGKILL)
    qtbot.waitUntil(lambda: not standby_pids(standby), timeout=LONG)
    with qtbot.waitSignal(standby._idle.timeout, timeout=LONG):
        pass
    assert not standby_pids(standby)
    lane.load()  # nobody noticed anything
    loaded(qtbot, playground)
    assert not playground.window.messages.isVisible()


def test_a_standby_engine_that_has_just_died_is_not_given_away(
    qtbot: QtBot, make_standby: MakeStandby
) -> None:
    standby = make_standby()
    standby.update([""], busy=False, generating=False)
    pid = wait_for_standby(qtbot, standby)
    engine = standby.engines[""]
    os.kill(pid, signal.SIGKILL)
    # The event loop does not run: the death is not known yet.
    assert engine._worker is not None
    assert engine._worker.process._ended.wait(60)
    assert standby.take("") is None
    qtbot.waitUntil(lambda: standby_pids(standby).get("") not in (None, pid), timeout=LONG)


def test_an_importing_engine_is_ended_when_a_generation_begins(
    qtbot: QtBot, make_standby: MakeStandby
) -> None:
    standby = make_standby("--delay", "importing=60")
    standby.update([""], busy=False, generating=False)
    qtbot.waitUntil(lambda: bool(standby_pids(standby).get("")), timeout=LONG)
    pid = standby_pids(standby)[""]
    standby.update([""], busy=True, generating=True)
    assert not standby_pids(standby)
    gone(qtbot, pid)
    assert not standby._idle.isActive()


def test_a_ready_engine_stays_during_a_generation(qtbot: QtBot, make_standby: MakeStandby) -> None:
    standby = make_standby()
    standby.update([""], busy=False, generating=False)
    pid = wait_for_standby(qtbot, standby)
    standby.update([""], busy=True, generating=True)
    assert standby_pids(standby) == {"": pid}
    engine = standby.take("")
    assert engine is not None
    assert engine.ready
    assert engine.pid == pid
    engine.kill()
    assert engine.wait(60_000)


def test_each_environment_in_use_has_one(qtbot: QtBot, make_standby: MakeStandby) -> None:
    standby = make_standby()
    standby.update(["", "other", "", "gone"], busy=False, generating=False)
    qtbot.waitUntil(
        lambda: standby_ready(standby) and len(standby_pids(standby)) == 2, timeout=LONG
    )
    pids = standby_pids(standby)
    assert set(pids) == {"", "other"}
    standby.update([""], busy=False, generating=False)
    assert standby_pids(standby) == {"": pids[""]}
    gone(qtbot, pids["other"])


def test_there_is_none_while_memory_is_short(
    qtbot: QtBot, make_standby: MakeStandby, memory: Memory
) -> None:
    standby = make_standby()
    memory.free = START_FREE - 1
    standby.update([""], busy=False, generating=False)
    with qtbot.waitSignal(standby._idle.timeout, timeout=LONG):
        pass
    assert not standby_pids(standby)
    memory.free = START_FREE
    standby.update([""], busy=False, generating=False)
    pid = wait_for_standby(qtbot, standby)
    memory.free = KEEP_FREE - 1
    standby.update([""], busy=True, generating=False)
    assert not standby_pids(standby)
    gone(qtbot, pid)


def test_switching_it_off_reports_the_memory_and_is_stored(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(settings=Settings(lanes=(LaneConfig(),)), standby=True)
    playground.start_ahead()
    pid = wait_for_standby(qtbot, playground.standby)
    with qtbot.waitSignal(playground.notify.message, timeout=LONG) as told:
        playground.window.actions.keep_standby.trigger()
    assert told.args is not None
    assert "has ended and freed" in told.args[0]
    gone(qtbot, pid)
    playground.window.close()
    assert not playground.store.values.keep_standby


@pytest.mark.usefixtures("fresh_engines")
def test_a_real_engine_that_waited_loads_without_importing(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    lanes = (LaneConfig(precision=Precision.BF16), LaneConfig(precision=Precision.FP32))
    playground = make_window(settings=Settings(lanes=lanes), real=True, standby=True)
    playground.start_ahead()
    qtbot.waitUntil(lambda: standby_ready(playground.standby), timeout=4 * LONG)
    pid = standby_pids(playground.standby)[""]
    second = playground.lanes.lanes[1]
    second.load()
    qtbot.waitUntil(lambda: second.state.stage is Stage.READY, timeout=4 * LONG)
    assert second.pid == pid
