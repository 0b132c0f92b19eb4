"""Every run of the window is kept as it happens, in the real file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from playground.app.main import Playground
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.lane import LaneConfig, Stage
from playground.core.precision import Precision
from playground.core.settings import Settings, SettingsStore
from playground.core.system import paths
from playground.history.reader import HistoryReader
from playground.history.records import KeptRun, RunState
from tests.gui.support import LONG, MakeWindow

TWO = (LaneConfig(precision=Precision.BF16), LaneConfig(precision=Precision.INT8))


def kept(playground: Playground) -> list[KeptRun]:
    """All runs of the history, the latest first."""
    assert playground.history.writer.flush(60)
    with HistoryReader(paths.history_file()) as reader:
        return [reader.run(row.id) for row in reader.runs()]


def run(qtbot: QtBot, playground: Playground) -> None:
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.prompt.run()


def endless(*, lanes: tuple[LaneConfig, ...] = TWO) -> Settings:
    options = GenerationOptions(max_new_tokens=1_000_000)
    return Settings(lanes=lanes, prompt="Once", timing="together", options=options)


def test_a_run_is_kept_with_what_the_window_shows(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(settings=Settings(lanes=TWO, prompt="Once upon"))
    run(qtbot, playground)
    (whole,) = kept(playground)
    assert (whole.request.typed, whole.request.lanes) == ("Once upon", TWO)
    assert whole.row.state is RunState.FINISHED
    for position, presenter in enumerate(playground.lanes.presenters):
        (answer,) = whole.answers_of(position)
        shown = presenter.conversation.last
        assert shown is not None
        assert answer.prompt == RawPrompt("Once upon")
        assert answer.answer == shown.answer
        assert answer.text == shown.text
        assert presenter.generation is not None
        assert answer.tokens == presenter.generation.record
        assert answer.floor == presenter.generation.floor
    playground.prompt.regenerate_in(playground.lanes.presenters[1])
    qtbot.waitUntil(lambda: not playground.prompt.run_controller.running)
    again = kept(playground)[0]
    assert (again.request.typed, again.request.lanes) == ("Once upon", TWO[1:])


def test_what_streams_is_in_the_file_before_it_ends(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window("--rate", "300", settings=endless())
    playground.prompt.run()
    presenters = playground.lanes.presenters
    qtbot.waitUntil(lambda: all(p.figures()[0].tokens > 20 for p in presenters))
    shown = [p.generation.record.text if p.generation else "" for p in presenters]
    (whole,) = kept(playground)
    assert whole.row.state is RunState.RUNNING
    for position, text in enumerate(shown):
        assert len(text) > 20
        assert whole.answers_of(position)[0].text.startswith(text)
    playground.window.close()
    with HistoryReader(paths.history_file()) as reader:
        closed = reader.run(whole.row.id)
    assert closed.row.state is RunState.STOPPED
    assert all(closed.answers_of(n)[0].text.startswith(text) for n, text in enumerate(shown))


def test_a_lane_that_fails_is_kept_with_its_reason(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(
        "--fault",
        "exit",
        "--at",
        "reading_weights",
        settings=Settings(lanes=TWO[:1], prompt="Once"),
    )
    run(qtbot, playground)
    (whole,) = kept(playground)
    failure = playground.lanes.lanes[0].state.failure
    assert failure is not None
    assert whole.row.lanes[0].failure == f"{failure.message} {failure.remedy}".strip()


def test_private_runs_are_not_kept(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window(settings=Settings(lanes=TWO[:1], prompt="Secret"))
    private = playground.window.actions.private_run
    playground.window.prompt.private_button.click()
    assert private.isChecked()
    run(qtbot, playground)
    private.setChecked(False)
    assert not playground.window.prompt.private_button.isChecked()
    playground.settings.change("keep_history", False)
    run(qtbot, playground)
    playground.settings.change("keep_history", True)
    playground.window.prompt.set_prompt_text("Public")
    run(qtbot, playground)
    assert [whole.request.typed for whole in kept(playground)] == ["Public"]


def newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")


def damaged(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "words", "again"),
    [
        (newer, "of a newer version", False),
        (damaged, "is damaged. It was renamed to history.sqlite.bad", True),
        (a_folder, "cannot be opened", False),
    ],
)
def test_a_fault_of_the_history_is_said_once_and_runs_go_on(
    qtbot: QtBot,
    make_window: MakeWindow,
    spoil: Callable[[Path], None],
    words: str,
    again: bool,
) -> None:
    path = paths.history_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    spoil(path)
    playground = make_window(settings=Settings(lanes=TWO[:1], prompt="Once"))
    said: list[str] = []
    playground.notify.message.connect(lambda text, _, remedy: said.append(f"{text} {remedy}"))
    run(qtbot, playground)
    run(qtbot, playground)
    assert playground.history.writer.flush(60)
    qtbot.waitUntil(lambda: bool(said))
    assert len(said) == 1
    assert words in said[0]
    assert playground.lanes.presenters[0].last_answer is not None
    if again:
        assert len(kept(playground)) == 2


def test_the_window_is_stored_soon_after_a_change_and_at_a_run(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    playground = make_window(settings=Settings(lanes=TWO, prompt="Once"))
    path = playground.store.path
    playground.window.prompt.set_prompt_text("Never lost")
    playground.lanes.remove(playground.lanes.presenters[1])
    qtbot.waitUntil(lambda: path.exists() and SettingsStore(path).values.prompt == "Never lost")
    assert SettingsStore(path).values.lanes == TWO[:1]
    playground.window.prompt.set_prompt_text("At once")
    playground.prompt.run()
    assert SettingsStore(path).values.prompt == "At once"
    assert playground.lanes.lanes[0].state.stage is not Stage.EMPTY
    qtbot.waitUntil(lambda: not playground.prompt.run_controller.running)


@pytest.mark.parametrize("state", [RunState.FINISHED, RunState.STOPPED])
def test_a_run_ends_as_it_ended_in_the_window(
    qtbot: QtBot, make_window: MakeWindow, state: RunState
) -> None:
    settings = endless() if state is RunState.STOPPED else Settings(lanes=TWO, prompt="Once")
    playground = make_window("--rate", "300", settings=settings)
    playground.prompt.run()
    if state is RunState.STOPPED:
        presenters = playground.lanes.presenters
        qtbot.waitUntil(lambda: all(p.figures()[0].tokens for p in presenters))
        playground.prompt.stop()
    qtbot.waitUntil(lambda: not playground.prompt.run_controller.running)
    assert kept(playground)[0].row.state is state
