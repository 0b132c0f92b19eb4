"""Figures that are not to be compared with others are marked: of earlier runs, or disturbed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from playground.app.main import Playground
from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig, Stage
from playground.core.precision import Precision
from playground.core.settings import Settings
from playground.gui.lanes.commands import LaneCommand
from playground.gui.lanes.text import caveat_text, stamp_text
from playground.gui.reference.dialog import FoundingDialog
from tests.gui.support import LONG, MakeWindow

TWO = Settings(lanes=(LaneConfig(), LaneConfig(precision=Precision.INT8)))


def names(playground: Playground) -> list[str]:
    """The first column of the table."""
    lines = playground.window.table.as_tsv().splitlines()[1:]
    return [line.split("\t")[0] for line in lines]


def run(qtbot: QtBot, playground: Playground, tokens: int = 20) -> None:
    playground.window.options.set_options(GenerationOptions(max_new_tokens=tokens))
    playground.window.prompt.set_prompt_text("Once")
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.prompt.run()


def test_figures_of_an_earlier_run_are_marked(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window("--rate", "2000", settings=TWO)
    second = playground.lanes.presenters[1]
    run(qtbot, playground)
    plain = names(playground)
    assert not any("run" in name for name in plain)
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        second.view.commanded.emit(LaneCommand.REGENERATE)
    assert names(playground) == [f"earlier run: {plain[0]}", plain[1]]
    run(qtbot, playground)
    assert names(playground) == plain


def test_old_figures_are_marked_while_a_run_reaches_one_lane_after_the_other(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window("--rate", "200", settings=TWO)
    run(qtbot, playground)
    old = playground.lanes.presenters[0].figures()[0].tokens
    playground.window.options.set_options(GenerationOptions(max_new_tokens=1_000_000))
    playground.prompt.run()  # in the other order: the second lane begins
    second = playground.lanes.lanes[1]
    qtbot.waitUntil(lambda: second.state.stage is Stage.GENERATING, timeout=LONG)
    qtbot.waitUntil(lambda: names(playground)[0].startswith("earlier run"), timeout=LONG)
    assert not names(playground)[1].startswith("earlier run")
    assert playground.lanes.presenters[0].figures()[0].tokens == old
    playground.prompt.stop()


def test_an_answer_beside_a_load_is_stamped_and_marked(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window("--rate", "100", settings=Settings(lanes=(LaneConfig(),)))
    (presenter,) = playground.lanes.presenters
    playground.window.options.set_options(GenerationOptions(max_new_tokens=1_000_000))
    playground.window.prompt.set_prompt_text("Once")
    playground.prompt.run()
    qtbot.waitUntil(lambda: presenter.lane.state.stage is Stage.GENERATING, timeout=LONG)
    playground.lanes.add(replace(presenter.lane.config, precision=Precision.INT8))
    other = playground.lanes.lanes[1]
    other.load()
    qtbot.waitUntil(lambda: other.state.stage is Stage.READY, timeout=LONG)
    assert presenter.lane.state.stage is Stage.GENERATING
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.prompt.stop()
    answer = presenter.last_answer
    assert answer is not None
    assert "another lane loaded a model" in answer.stamp.disturbed_by
    assert caveat_text(answer) == "disturbed"
    assert "one lane after the other, but disturbed while" in stamp_text(answer)
    assert names(playground)[0].startswith("disturbed")
    # The next one is not.
    run(qtbot, playground)
    assert not any(name.startswith("disturbed") for name in names(playground))
    assert presenter.last_answer is not None
    assert presenter.last_answer.stamp.disturbed_by == ()


@pytest.mark.parametrize("timing", ["in turn", "together"])
def test_lanes_of_the_same_run_do_not_disturb_each_other(
    qtbot: QtBot, make_window: MakeWindow, timing: str
) -> None:
    playground = make_window("--rate", "500", settings=TWO)
    playground.window.options.set_timing("together" if timing == "together" else "in turn")
    run(qtbot, playground, tokens=100)
    for presenter in playground.lanes.presenters:
        assert presenter.last_answer is not None
        assert presenter.last_answer.stamp.disturbed_by == ()


def test_work_beside_the_lanes_is_stamped_too(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window("--rate", "500", settings=TWO)
    playground.lanes.watch_beside(lambda: "a model was quantized")
    run(qtbot, playground)
    assert all(name.startswith("disturbed") for name in names(playground))


def test_the_founding_comparison_leaves_the_figures_of_the_texts_shown(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window("--rate", "100", settings=Settings(lanes=(LaneConfig(),)))
    run(qtbot, playground, tokens=20)
    before = playground.window.table.as_tsv()
    dialog = FoundingDialog(playground.lanes, LaneConfig(), "scripted", playground.window)
    dialog.open()
    with qtbot.waitSignal(dialog.measurement.measured, timeout=LONG):
        dialog.start()
    dialog.close()  # in the middle of an answer
    lane = playground.lanes.lanes[0]
    qtbot.waitUntil(lambda: lane.state.stage is Stage.READY, timeout=LONG)
    playground.lanes.arranged.emit()  # draws everything again
    assert playground.window.table.as_tsv() == before


def test_regenerating_uses_the_options_on_the_screen(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window("--rate", "2000", settings=Settings(lanes=(LaneConfig(),)))
    run(qtbot, playground, tokens=20)
    shown = GenerationOptions(max_new_tokens=31, repetition_penalty=1.5, greedy=True, top=5)
    playground.window.options.set_options(shown)
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.prompt.regenerate()
    answer = playground.lanes.presenters[0].last_answer
    assert answer is not None
    assert answer.stamp.options == shown


def test_the_founding_comparison_says_why_it_waits(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window("--rate", "100", settings=Settings(lanes=(LaneConfig(),)))
    said: list[str] = []
    playground.notify.message.connect(lambda *parts: said.append(str(parts)))
    playground.window.options.set_options(GenerationOptions(max_new_tokens=1_000_000))
    playground.window.prompt.set_prompt_text("Once")
    playground.prompt.run()
    assert playground.window.actions.founding.isEnabled()
    playground.window.actions.founding.trigger()
    assert "during a run" in said[-1]
    assert playground.window.findChild(FoundingDialog) is None
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.prompt.stop()
