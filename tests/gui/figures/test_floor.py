"""The floor of a lane, from the engine's event to the plot and the table."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from playground.core.lane import LaneConfig
from playground.core.settings import Settings
from tests.gui.support import LONG, MakeWindow

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)


def test_a_run_shows_its_floor_and_the_part_reached(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(
        "--bandwidth", "1e9", "--rate", "200", settings=Settings(lanes=(LaneConfig(),))
    )
    window, lane = playground.window, playground.lanes.lanes[0]
    window.prompt.set_prompt_text("Once upon a time")
    window.actions.run.trigger()
    qtbot.waitUntil(
        lambda: lane.generation is not None and lane.generation.answer is not None, timeout=LONG
    )
    assert lane.generation is not None
    figures = lane.generation.figures()
    # 2 MB of weights at 1 GB/s are 2 ms, and a token comes every 5 ms.
    assert figures.floor_ms == pytest.approx(2.0, rel=0.1)
    assert figures.of_floor is not None
    cells = window.table.as_tsv().splitlines()
    place = cells[0].split("\t").index("Of floor")
    qtbot.waitUntil(
        lambda: window.table.as_tsv().splitlines()[1].split("\t")[place].endswith("%"),
        timeout=LONG,
    )
    assert len(window.plot.tokens._items[0].floor.getData()[0]) > 0


def test_a_floor_from_a_disturbed_measurement_is_marked(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(
        "--bandwidth", "1e9", "--unsteady", settings=Settings(lanes=(LaneConfig(),))
    )
    window = playground.window
    window.prompt.set_prompt_text("Once upon a time")
    window.actions.run.trigger()
    qtbot.waitUntil(lambda: "≈ " in window.table.as_tsv(), timeout=LONG)
    assert "other programs disturbed" in playground.lanes.presenters[0].view.badge.toolTip()


def test_whether_the_floor_is_drawn_is_remembered(make_window: MakeWindow) -> None:
    playground = make_window()
    assert playground.window.plot.floor.isChecked()
    playground.window.plot.floor.click()
    playground.window.close()
    assert not playground.store.values.plot_floor
    again = make_window(settings=playground.store.values)
    assert not again.window.plot.floor.isChecked()
