"""The founding comparison in the window, over scripted engines."""

from __future__ import annotations

import psutil
import pytest
from pytestqt.qtbot import QtBot

from playground.core import founding
from playground.core.lane import LaneConfig, Stage
from playground.core.settings import Settings
from playground.gui.reference.controller import FoundingController
from playground.gui.reference.dialog import FoundingDialog
from tests.gui.support import LONG, MakeWindow


def children() -> list[psutil.Process]:
    return psutil.Process().children()


def test_the_founding_comparison_can_be_cancelled_while_it_loads(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window("--delay", "reading_weights=60")
    base = LaneConfig(device="cpu")
    dialog = FoundingDialog(playground.lanes, base, "scripted", playground.window)
    dialog.open()
    dialog.start()
    lanes = playground.lanes.lanes
    qtbot.waitUntil(lambda: all(x.state.stage is Stage.LOADING for x in lanes), timeout=LONG)
    dialog.close()
    qtbot.waitUntil(lambda: all(x.state.stage is Stage.EMPTY for x in lanes), timeout=LONG)
    assert not dialog.measurement.running


def test_the_founding_comparison_creates_the_missing_lanes(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    before = len(children())
    playground = make_window("--rate", "2000", settings=Settings(lanes=(LaneConfig(),)))
    dialog = FoundingDialog(playground.lanes, LaneConfig(), "scripted", playground.window)
    dialog.open()
    with qtbot.waitSignal(dialog.measurement.finished, timeout=LONG):
        dialog.start()
    assert dialog.table.item(0, 0).text() == "bf16"
    assert all(dialog.table.item(row, 1).text().endswith((" s", " ms")) for row in range(3))
    for column in range(dialog.table.columnCount()):
        head = dialog.table.horizontalHeaderItem(column)
        assert head is not None
        assert head.textAlignment() == dialog.table.item(0, column).textAlignment()
    assert len(children()) == before + 3
    dialog.close()
    qtbot.waitUntil(lambda: len(children()) == before + 1, timeout=LONG)


@pytest.fixture
def measurement(make_window: MakeWindow) -> FoundingController:
    """A comparison over slow lanes."""
    playground = make_window("--rate", "100", settings=Settings(lanes=(LaneConfig(),)))
    return FoundingController(playground.lanes, playground.window)


def test_every_precision_is_measured_as_often_as_asked_after_a_warm_up(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window("--rate", "2000", settings=Settings(lanes=(LaneConfig(),)))
    measurement = FoundingController(playground.lanes, playground.window)
    told: list[tuple[int, int, str]] = []
    measurement.progressed.connect(lambda *args: told.append(args))
    with qtbot.waitSignal(measurement.finished, timeout=LONG) as waiting:
        measurement.start(LaneConfig(), 2)
    assert waiting.args == [""]
    assert told[0] == (0, 9, "loading the models")
    warm_up = ["warming up · bf16", "warming up · int8 (bitsandbytes)", "warming up · GPTQ 4-bit"]
    assert [what for _, _, what in told[1:4]] == warm_up
    assert [what.partition(" · ")[0] for _, _, what in told[4:10]] == ["repeat 1"] * 3 + [
        "repeat 2"
    ] * 3
    assert [done for done, _, _ in told[1:]] == list(range(10))
    assert told[-1] == (9, 9, "")
    for precision in founding.PRECISIONS:
        answers = measurement.answers[precision]
        assert len(answers) == 2
        assert all(a.stamp.requested_precision is precision for a in answers)
        assert all(a.stamp.options == founding.OPTIONS for a in answers)
    measurement.release()


def test_what_was_measured_stays_when_it_is_cancelled(
    qtbot: QtBot, measurement: FoundingController
) -> None:
    with qtbot.waitSignal(measurement.measured, timeout=LONG):
        measurement.start(LaneConfig(), 1000)
    with qtbot.waitSignal(measurement.finished, timeout=LONG) as waiting:
        measurement.cancel()
    assert waiting.args == ["Cancelled."]
    assert not measurement.running
    counted = [answer for answers in measurement.answers.values() for answer in answers]
    assert counted
    assert all(answer.stop_reason == "length" for answer in counted)
    measurement.release()


def test_its_hidden_lanes_end_in_the_middle_of_a_generation(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    before = len(children())
    playground = make_window("--rate", "100", settings=Settings(lanes=(LaneConfig(),)))
    dialog = FoundingDialog(playground.lanes, LaneConfig(), "scripted", playground.window)
    dialog.open()
    with qtbot.waitSignal(dialog.measurement.measured, timeout=LONG):
        dialog.start()
    assert len(children()) == before + 3
    dialog.close()
    qtbot.waitUntil(lambda: len(children()) == before + 1, timeout=LONG)
    lane = playground.lanes.lanes[0]
    qtbot.waitUntil(lambda: lane.state.stage is Stage.READY, timeout=LONG)
    assert not dialog.measurement.running


def test_a_precision_that_cannot_be_loaded_is_named_with_its_reason(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(
        *("--fault", "out-of-memory", "--at", "reading_weights"),
        settings=Settings(lanes=(LaneConfig(),)),
    )
    measurement = FoundingController(playground.lanes, playground.window)
    with qtbot.waitSignal(measurement.finished, timeout=LONG) as waiting:
        measurement.start(LaneConfig(), 2)
    (why,) = waiting.args
    for precision in founding.PRECISIONS:
        assert f"{precision.label} is missing: There is not enough memory" in why
    assert "Choose a smaller precision" in why
    assert measurement.answers == {precision: [] for precision in founding.PRECISIONS}
    measurement.release()
