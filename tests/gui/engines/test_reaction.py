"""Engines that give no sign of life: noticed, shown, and ended on request."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from playground.client.engine_process import EngineProcess
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.lane import Stage
from playground.gui.engines import engine_slot
from playground.gui.engines.engine_slot import EngineSlot
from playground.gui.lanes.lane_view import LaneView
from playground.gui.quantize.state import QuantizeState
from playground.gui.quantize.text import status_text
from tests.gui.support import LONG, MakeLane
from tests.support.warm_engines import WarmEngines


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often; five looks still take longer than the second between two beats."""
    monkeypatch.setattr(engine_slot, "LOOK_MS", 400)


@pytest.fixture
def slot(qtbot: QtBot, warm_engines: WarmEngines) -> Iterator[EngineSlot]:
    """A real engine, which has nothing to do once it is ready."""
    warm_engines.prepare()
    made = EngineSlot(lambda _: EngineProcess())
    made.start()
    yield made
    made.kill()
    assert made.wait(LONG)


def test_a_stopped_engine_is_noticed_and_an_idle_one_is_not(qtbot: QtBot, slot: EngineSlot) -> None:
    qtbot.waitUntil(lambda: slot.ready, timeout=LONG)
    assert not slot.silent
    with qtbot.waitSignal(slot.reacting, timeout=LONG) as stopped:
        os.kill(slot.pid, signal.SIGSTOP)
    assert stopped.args == [False]
    assert slot.silent
    # It goes on with nothing to do: only its beat can tell.
    with qtbot.waitSignal(slot.reacting, timeout=LONG) as going:
        os.kill(slot.pid, signal.SIGCONT)
    assert going.args == [True]


def test_a_lane_says_so_in_every_stage_and_offers_to_end_it(
    qtbot: QtBot, make_lane: MakeLane
) -> None:
    lane, view = make_lane("--rate", "50"), LaneView()
    qtbot.addWidget(view)
    view.show()

    def show(_: object) -> None:
        view.show_state(lane.state, 0.0)

    lane.state_changed.connect(show)
    lane.load()
    qtbot.waitUntil(lambda: lane.state.stage is Stage.READY, timeout=LONG)
    os.kill(lane.pid, signal.SIGSTOP)
    qtbot.waitUntil(lambda: lane.state.unresponsive, timeout=LONG)
    assert view.status.full_text() == "not reacting"
    assert "does not react" in view.failure.accessibleName()
    assert "End engine" in view.failure.accessibleDescription()
    assert (view.cancel_button.isVisible(), view.cancel_button.text()) == (True, "End engine")
    os.kill(lane.pid, signal.SIGCONT)
    qtbot.waitUntil(lambda: not lane.state.unresponsive, timeout=LONG)
    assert not view.cancel_button.isVisible()
    assert not view.failure.isVisible()

    options = GenerationOptions(max_new_tokens=100_000)
    assert lane.generate(RawPrompt("Once"), options, "in turn")
    qtbot.waitUntil(lambda: lane.drain() and lane.state.stage is Stage.GENERATING, timeout=LONG)
    os.kill(lane.pid, signal.SIGSTOP)
    qtbot.waitUntil(lambda: lane.state.unresponsive, timeout=LONG)
    assert view.cancel_button.text() == "End engine"
    view.header.command_group.triggered.connect(lambda _: lane.cancel())
    view.cancel_button.click()
    qtbot.waitUntil(lambda: lane.state.stage is Stage.EMPTY, timeout=LONG)
    assert not lane.state.unresponsive
    lane.load()
    qtbot.waitUntil(lambda: lane.state.stage is Stage.READY, timeout=LONG)
    lane.state_changed.disconnect(show)  # the view is deleted before the lane


def test_a_stopped_engine_is_noticed_while_it_starts(qtbot: QtBot, make_lane: MakeLane) -> None:
    lane = make_lane("--delay", "importing=600")
    lane.load()
    qtbot.waitUntil(lambda: lane.state.stage is Stage.LOADING, timeout=LONG)
    os.kill(lane.pid, signal.SIGSTOP)
    qtbot.waitUntil(lambda: lane.state.unresponsive, timeout=LONG)
    lane.cancel()
    qtbot.waitUntil(lambda: lane.state.stage is Stage.EMPTY, timeout=LONG)


def test_the_dialog_of_a_copy_says_so_too() -> None:
    state = QuantizeState(activity="writing the files", unresponsive=True)
    assert "does not react" in status_text(state, 0.0)
