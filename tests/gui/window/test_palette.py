"""Everything that a lane's menu offers is a command of the palette too."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from playground.core.environments import EngineEnvironment
from playground.core.lane import LaneConfig
from playground.core.settings import Settings
from playground.gui.lanes.commands import LaneCommand
from playground.gui.window.command_palette import CommandPalette
from tests.gui.support import MakeWindow

NAMED = (EngineEnvironment("old transformers", "/nowhere/bin/python"),)


def test_every_command_of_a_lanes_menu_is_in_the_palette(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    settings = Settings(lanes=(LaneConfig(),), environments=NAMED)
    playground = make_window(settings=settings)
    window, lane = playground.window, playground.lanes.presenters[0]
    in_menu = {action.data() for action in lane.view.header.menu.actions() if action.data()}
    assert len(in_menu) > 8
    known = {action.data() for action in window.actions.lane_commands.actions()}
    # The environments' dialog has an action of the window's own.
    assert in_menu <= known | {LaneCommand.MANAGE_ENVIRONMENTS}

    window.actions.palette.trigger()
    palette = window.findChild(CommandPalette)
    assert palette is not None
    shown = palette.shown_names()
    for action in window.actions.lane_commands.actions():
        assert action.text().replace("&", "") in shown
    assert "Runs on: old transformers" in shown
    qtbot.keyClicks(palette.field, "old transf")
    palette.list.itemClicked.emit(palette.list.currentItem(), 0)
    assert lane.lane.config.environment == "old transformers"
