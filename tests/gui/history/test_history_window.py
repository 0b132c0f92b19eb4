"""The History window: what was kept is found, compared, opened again, reported and deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from playground.app.main import Playground
from playground.core.facts import ModelSpec
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.settings import Settings
from playground.core.system import paths
from playground.gui.history.dialog import HistoryDialog
from playground.gui.history.source import PAGE
from playground.gui.toolkit import theme
from playground.history.reader import HistoryReader
from playground.history.records import RunRequest, RunState
from playground.history.report.bundle import read_bundle
from playground.history.store import HistoryStore
from tests.gui.support import LONG, MakeWindow, shown_text
from tests.history.kept import answer, request, tokens

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints|This plugin does not support")

BF16, INT8 = LaneConfig(precision=Precision.BF16), LaneConfig(precision=Precision.INT8)


def keep(typed: str, *texts: tuple[str, ...], lanes: tuple[LaneConfig, ...] = (BF16, INT8)) -> None:
    """Keep a run whose lanes answered these tokens."""
    with HistoryStore(paths.history_file()) as store, store.transaction():
        count = len(store.connection.execute("SELECT 1 FROM run").fetchall())
        key = f"run {count}"
        store.begin_run(key, RunRequest(typed=typed, lanes=lanes), "", 1_000.0 + count)
        for position, pieces in enumerate(texts):
            name = f"{key} {position}"
            store.begin_answer(name, key, position, 0, RawPrompt(typed))
            store.add_tokens(name, tokens(*pieces))
            store.end_answer(name, answer(tokens(*pieces), lanes[position].precision))
        store.end_run(key, RunState.FINISHED)


def opened(qtbot: QtBot, playground: Playground) -> HistoryDialog:
    playground.window.actions.history.trigger()
    dialog = playground.history_window.dialog
    assert dialog is not None
    qtbot.waitUntil(lambda: dialog.count.text() != "")
    return dialog


def prompts(dialog: HistoryDialog) -> list[str]:
    return [run.typed for run in dialog.table.runs.runs]


def shows(playground: Playground, *typed: str) -> Callable[[], bool]:
    """Whether these runs are the ones whose texts are shown."""

    def is_shown() -> bool:
        shown = playground.history_window.shown
        return shown is not None and [run.request.typed for run in shown.runs] == list(typed)

    return is_shown


def test_runs_are_found_by_their_texts_models_and_precisions(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    keep("Once upon", (" a", " lighthouse"), (" a", " ship"))
    keep("Name rivers", (" Rhine",), lanes=(LaneConfig(ModelSpec("owner/model"), Precision.NF4),))
    playground = make_window()
    dialog = opened(qtbot, playground)
    assert playground.window.actions.history.shortcut().toString() == "Ctrl+H"
    assert not dialog.isModal()
    assert prompts(dialog) == ["Name rivers", "Once upon"]
    qtbot.keyClicks(dialog.search, "lighthouse")
    qtbot.waitUntil(lambda: prompts(dialog) == ["Once upon"])
    dialog.search.setText("nowhere")
    qtbot.waitUntil(lambda: prompts(dialog) == [])
    qtbot.waitUntil(lambda: dialog.run.note.text() == "No run matches.")
    dialog.search.clear()
    qtbot.waitUntil(lambda: len(prompts(dialog)) == 2)
    dialog.model.setCurrentIndex(dialog.model.findData("owner/model"))
    dialog.model.activated.emit(dialog.model.currentIndex())
    qtbot.waitUntil(lambda: prompts(dialog) == ["Name rivers"])
    dialog.precision.setCurrentIndex(dialog.precision.findData(Precision.BF16))
    dialog.precision.activated.emit(dialog.precision.currentIndex())
    qtbot.waitUntil(lambda: prompts(dialog) == [])


def test_the_list_reads_further_runs_as_it_is_scrolled(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    with HistoryStore(paths.history_file()) as store, store.transaction():
        for number in range(PAGE + 50):
            store.begin_run(str(number), request(f"Run {number}"), "", float(number))
            store.end_run(str(number), RunState.FINISHED)
    dialog = opened(qtbot, make_window())
    assert dialog.table.runs.rowCount() == PAGE
    dialog.table.scrollToBottom()
    qtbot.waitUntil(lambda: dialog.table.runs.rowCount() == PAGE + 50)
    assert prompts(dialog)[-1] == "Run 0"
    assert dialog.count.text() == f"{PAGE + 50} runs"


def test_a_run_is_shown_with_its_differences_and_two_are_compared(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    keep("Once upon", (" a", " light"), (" a", " ship"))
    keep("Another", (" one",), (" one",))
    playground = make_window()
    dialog = opened(qtbot, playground)
    qtbot.waitUntil(shows(playground, "Another"))
    qtbot.keyClick(dialog.table, Qt.Key.Key_Down)
    qtbot.waitUntil(shows(playground, "Once upon"))
    text = dialog.run.text.toPlainText()
    assert "agrees for 1 of 2 tokens" in text
    cursor = dialog.run.text.document().find("ship")
    assert cursor.charFormat().fontUnderline()
    assert cursor.charFormat().background().color() == theme.color("warning_back")
    assert not dialog.run.text.document().find("light").charFormat().fontUnderline()
    assert dialog.run.figures.rows.rowCount() == 2
    qtbot.keyClick(dialog.table, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(shows(playground, "Another", "Once upon"))
    assert dialog.run.figures.rows.rowCount() == 4
    assert dialog.report_button.isEnabled()
    assert not dialog.open_button.isEnabled()


def test_a_run_opens_as_lanes_and_undo_brings_back_what_was_there(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    options = GenerationOptions(max_new_tokens=8, top=5)
    playground = make_window(settings=Settings(lanes=(BF16, INT8), prompt="One", options=options))
    window, lanes = playground.window, playground.lanes
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.prompt.run()
    texts = [shown_text(p.view.stream) for p in lanes.presenters]
    figures = [p.figures() for p in lanes.presenters]
    table = window.table.as_tsv()
    lanes.remove(lanes.presenters[1])
    lanes.presenters[0].configure(LaneConfig(precision=Precision.FP32))
    playground.prompt.clear()
    window.prompt.set_prompt_text("Typed since")
    window.options.set_options(GenerationOptions(max_new_tokens=99))

    dialog = opened(qtbot, playground)
    qtbot.waitUntil(shows(playground, "One"))
    with qtbot.waitSignal(playground.notify.offered, timeout=LONG):
        qtbot.keyClick(dialog.table, Qt.Key.Key_Return)
    assert tuple(lane.config for lane in lanes.lanes) == (BF16, INT8)
    assert [shown_text(p.view.stream) for p in lanes.presenters] == texts
    assert [p.figures() for p in lanes.presenters] == figures
    assert window.table.as_tsv() == table
    assert (window.prompt.prompt_text(), window.options.options()) == ("One", options)

    window.messages.action_button.click()
    assert [lane.config.precision for lane in lanes.lanes] == [Precision.FP32]
    assert lanes.presenters[0].conversation.last is None
    assert window.prompt.prompt_text() == "Typed since"
    assert window.options.options().max_new_tokens == 99


def test_a_chat_opens_with_its_earlier_turns_and_goes_on(
    qtbot: QtBot, make_window: MakeWindow
) -> None:
    lane = LaneConfig(ModelSpec("/no/such/chat-model"))  # of which nothing speaks against a chat
    playground = make_window(settings=Settings(lanes=(lane,), prompt="One", prompt_mode="chat"))
    prompt = playground.window.prompt
    for typed in ("One", "Two"):
        prompt.set_prompt_text(typed)
        with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
            playground.prompt.run()
    before = playground.lanes.presenters[0].conversation
    playground.prompt.clear()
    opened(qtbot, playground)
    qtbot.waitUntil(shows(playground, "Two"))
    with qtbot.waitSignal(playground.notify.offered, timeout=LONG):
        playground.history_window.open_selected()
    again = playground.lanes.presenters[0].conversation
    assert again.prompt_for("chat", "Three") == before.prompt_for("chat", "Three")
    with qtbot.waitSignal(playground.prompt.finished, timeout=LONG):
        playground.history_window.run_selected()
    last = playground.lanes.presenters[0].conversation
    assert [e.typed for e in last.exchanges] == ["One", "Two"]
    assert last.exchanges[-1].prompt == before.exchanges[-1].prompt


def test_a_lane_whose_model_is_gone_is_named(qtbot: QtBot, make_window: MakeWindow) -> None:
    gone = LaneConfig(ModelSpec("/no/such/folder/lost-model"), Precision.INT8)
    keep("Once", (" a",), (" a",), lanes=(BF16, gone))
    playground = make_window()
    opened(qtbot, playground)
    qtbot.waitUntil(shows(playground, "Once"))
    with qtbot.waitSignal(playground.notify.offered, timeout=LONG) as offered:
        playground.history_window.open_selected()
    assert "lost-model (int8) is not on this machine" in offered.args[0]
    assert playground.lanes.lanes[1].config == gone
    assert shown_text(playground.lanes.presenters[1].view.stream) == "Once a"


def test_deleting_can_be_undone(qtbot: QtBot, make_window: MakeWindow) -> None:
    keep("First", (" a",), (" a",))
    keep("Second", (" a",), (" a",))
    playground = make_window()
    dialog = opened(qtbot, playground)
    qtbot.waitUntil(shows(playground, "Second"))
    qtbot.keyClick(dialog.table, Qt.Key.Key_Delete)
    assert prompts(dialog) == ["First"]
    qtbot.waitUntil(shows(playground, "First"))
    assert playground.history.writer.flush(60)
    with HistoryReader(paths.history_file()) as reader:
        assert [row.typed for row in reader.runs()] == ["First"]
    playground.window.messages.action_button.click()
    qtbot.waitUntil(lambda: prompts(dialog) == ["Second", "First"])
    qtbot.keyClick(dialog.table, Qt.Key.Key_Delete)
    qtbot.keyClick(dialog, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: prompts(dialog) == ["Second", "First"])


def test_reports_and_bundles_are_saved_and_bundles_come_back(
    qtbot: QtBot, make_window: MakeWindow, tmp_path: Path
) -> None:
    keep("Once <b>upon", (" a", " light"), (" a", " ship"))
    playground = make_window()
    history = playground.history_window
    dialog = opened(qtbot, playground)
    qtbot.waitUntil(shows(playground, "Once <b>upon"))
    for name in ("r.html", "r.md", "r.json", "run.zip"):
        path = tmp_path / name
        with qtbot.waitSignal(playground.notify.message, timeout=LONG) as said:
            if name == "run.zip":
                history.export(path)
            else:
                history.save_report(path, path.suffix)
        assert said.args[0] == f"{path} is saved."
    assert "Once &lt;b&gt;upon" in (tmp_path / "r.html").read_text("utf-8")
    assert "**ship**" in (tmp_path / "r.md").read_text("utf-8")
    with qtbot.waitSignal(playground.notify.message, timeout=LONG) as said:
        history.import_file(tmp_path / "run.zip")
    assert said.args[0].startswith("The run is number 2 now. Differs here:")
    qtbot.waitUntil(lambda: len(prompts(dialog)) == 2)
    assert read_bundle(tmp_path / "run.zip").request.typed == "Once <b>upon"
    with qtbot.waitSignal(playground.notify.message, timeout=LONG) as said:
        history.import_file(tmp_path / "r.html")
    assert said.args[1] == "warning"
