"""Nothing is lost: clearing texts and removing lanes are undone, with figures and plots."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from playground.core.generation import GenerationOptions
from playground.core.lane import Stage
from playground.gui.lanes.commands import LaneCommand
from tests.gui.support import LONG, MakeWindow, shown_text


def test_cleared_texts_come_back_with_their_figures(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window("--rate", "2000")
    window, lanes = playground.window, playground.lanes
    window.prompt.set_prompt_text("Once")
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.prompt.run()
    presenter = lanes.presenters[0]
    text, figures = shown_text(presenter.view.stream), presenter.figures()
    assert figures[0].tokens
    window.actions.clear.trigger()
    assert presenter.figures()[0].tokens == 0
    assert not presenter.view.stream.document().toPlainText().strip()
    assert window.messages.text() == "The texts were cleared."
    window.messages.action_button.click()
    assert shown_text(presenter.view.stream) == text
    assert presenter.figures() == figures
    window.actions.clear.trigger()
    window.messages.dismiss()
    window.actions.clear.trigger()
    assert window.messages.text() == ""  # there was nothing to bring back


def test_a_lane_that_was_removed_in_mid_answer_comes_back_at_its_place(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window("--rate", "500")
    window, lanes = playground.window, playground.lanes
    window.options.set_options(GenerationOptions(max_new_tokens=1_000_000))
    window.prompt.set_prompt_text("Once")
    playground.prompt.run()
    first = lanes.presenters[0]
    qtbot.waitUntil(
        lambda: first.lane.state.stage is Stage.GENERATING and first.figures()[0].tokens > 5,
        timeout=LONG,
    )
    config = first.lane.config
    first.view.commanded.emit(LaneCommand.REMOVE)
    playground.prompt.stop()
    assert len(lanes.presenters) == 2
    assert "was removed" in window.messages.text()
    window.messages.action_button.click()
    assert len(lanes.presenters) == 3
    back = lanes.presenters[0]
    assert back is not first
    assert back.lane.config == config
    assert back.lane.state.stage is Stage.EMPTY
    assert back.figures()[0].tokens > 5
    assert "Once" in shown_text(back.view.stream)
    qtbot.waitUntil(lambda: not playground.prompt.run_controller.running, timeout=LONG)


def test_the_current_lane_is_marked_where_there_are_several(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window("--rate", "2000")
    views = playground.window.lanes.views()
    assert [bool(view.property("current")) for view in views] == [True, False, False]
    assert "current lane" in views[0].accessibleDescription()
    playground.window.lanes.focus_lane(1)
    playground.window.lanes._note_focus(None, views[1].stream)
    assert [bool(view.property("current")) for view in views] == [False, True, False]
    for presenter in list(playground.lanes.presenters[1:]):
        playground.lanes.remove(presenter)
    assert not playground.window.lanes.views()[0].property("current")
