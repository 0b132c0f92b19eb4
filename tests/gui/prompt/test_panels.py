"""The prompt, the options and the table, each in the window."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QTextCursor
from pytestqt.qtbot import QtBot

from playground.core.generation import GenerationOptions
from playground.core.trace import LatencyTrace
from playground.gui.window.main_window import MainWindow
from tests.gui.dropping import drop, files, words


def test_table_copies_as_tsv(window: MainWindow, qtbot: QtBot) -> None:
    table = window.table
    trace = LatencyTrace([0.05, 0.06, 0.07])
    table.set_row(1, "int8", trace.figures(10, 0.04), 512_000_000)
    table.set_row(0, "bf16", LatencyTrace().figures(), None)
    assert [table.item(r, 0).text() for r in range(2)] == ["bf16", "int8"]
    qtbot.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QGuiApplication.clipboard().text().split("\n")
    assert lines[0].split("\t")[:3] == ["Lane", "TTFT", "p50"]
    assert lines[2].split("\t") == [
        "int8", "50.0 ms", "10.0 ms", "10.0 ms", "10.0 ms", "250 tok/s", "100 tok/s", "–",
        "70.0 ms", "512 MB", "3",
    ]  # fmt: skip
    table.remove_row(0)
    assert table.rowCount() == 1


def test_names_fit_and_columns_stay_in_place(window: MainWindow, qtbot: QtBot) -> None:
    table = window.table
    window.show()
    qtbot.waitExposed(window)
    names = ("classics-6m · bf16", "classics-6m · int8", "classics-6m · GPTQ 4-bit")
    for index, name in enumerate(names):
        table.set_row(index, name, LatencyTrace().figures(), None)

    def widths() -> list[int]:
        return [table.columnWidth(column) for column in range(table.columnCount())]

    before = widths()
    assert before[0] >= table.sizeHintForColumn(0) > 0
    slow = LatencyTrace([0.0123 + 0.5557 * i for i in range(2_000)])
    for index, name in enumerate(names):
        table.set_row(index, name, slow.figures(45_678, 0.5), 23_400_000_000)
    assert widths() == before
    # Cells begin and end with a padding; what does not fit between is elided.
    for column in range(1, table.columnCount()):
        assert table.sizeHintForColumn(column) <= before[column]
    assert not table.horizontalScrollBar().isVisible()
    table.set_row(2, "A-Model-With-A-Very-Long-Name-Instruct · GPTQ 4-bit", slow.figures(), None)
    assert not table.horizontalScrollBar().isVisible()
    assert all(w <= b for w, b in zip(widths()[1:], before[1:], strict=True))
    for column in range(1, table.columnCount()):
        assert table.sizeHintForColumn(column) <= table.columnWidth(column)


def test_prompt_panel(window: MainWindow, qtbot: QtBot) -> None:
    prompt = window.prompt
    text = "no\u00a0break\nline <b> \u202e 🎉"
    prompt.set_prompt_text(text)
    assert prompt.prompt_text() == text
    prompt.set_prompt_text("lone \ud800 surrogate")
    assert prompt.prompt_text() == "lone \ufffd surrogate"
    prompt.set_prompt_text("a\0b")
    assert prompt.prompt_text() == "a\0b"
    prompt.set_prompt_text("")
    qtbot.keyClick(prompt.edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    assert prompt.prompt_text() == "\n"
    prompt.set_chat_available(False, "This model has no chat template.")
    assert not prompt.modes.button("chat").isEnabled()
    assert prompt.modes.button("chat").toolTip() == "This model has no chat template."
    prompt.set_chat_available(True, "")
    prompt.modes.button("chat").click()
    assert prompt.mode() == "chat"
    assert prompt.run_button.text() == "Send"
    prompt.set_chat_available(False, "gone")
    assert prompt.mode() == "raw"
    assert prompt.run_button.text() == "Run"
    prompt.set_running(True)
    assert not prompt.run_button.isEnabled()
    assert prompt.stop_button.isEnabled()


def test_megabyte_prompt_stays_exact_and_editable(window: MainWindow, qtbot: QtBot) -> None:
    window.show()
    edit = window.prompt.edit
    text = "x" * 500_000 + " word" * 100_000 + "\nlast line"
    QGuiApplication.clipboard().setText(text)
    edit.paste()
    assert window.prompt.prompt_text() == text
    qtbot.keyClick(edit, Qt.Key.Key_Y)
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert window.prompt.prompt_text() == text + "y\n"
    edit.moveCursor(QTextCursor.MoveOperation.Start)
    edit.moveCursor(QTextCursor.MoveOperation.NextBlock)
    qtbot.keyClick(edit, Qt.Key.Key_Right)
    qtbot.keyClick(edit, Qt.Key.Key_Return)  # a line break that is meant, beside one that is not
    assert window.prompt.prompt_text().count("\n") == 3
    final = window.prompt.prompt_text()
    while edit.document().isUndoAvailable():
        edit.undo()
    assert window.prompt.prompt_text() == ""
    while edit.document().isRedoAvailable():
        edit.redo()
    assert window.prompt.prompt_text() == final
    edit.selectAll()
    edit.copy()
    assert QGuiApplication.clipboard().text() == final


def test_what_replaces_a_typed_prompt_can_be_undone(window: MainWindow, qtbot: QtBot) -> None:
    prompt = window.prompt
    prompt.restore("from the last time", "raw", "a system prompt")
    window.show()
    prompt.edit.undo()
    prompt.system.undo()
    assert prompt.prompt_text() == "from the last time"
    assert prompt.system_prompt() == "a system prompt"
    prompt.set_prompt_text("")
    qtbot.keyClicks(prompt.edit, "typed with care")
    example = next(a for a in prompt.examples.menu().actions() if a.data())
    example.trigger()
    assert prompt.prompt_text() == example.data()[0]
    qtbot.keyClick(prompt.edit, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert prompt.prompt_text() == "typed with care"
    prompt.edit.redo()
    assert prompt.prompt_text() == example.data()[0]


def prompt_says(window: MainWindow, text: str) -> bool:
    return text in window.prompt.notice.text()


def test_a_text_file_dropped_on_the_prompt_inserts_its_text(
    window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    prompt = window.prompt
    window.show()
    text = tmp_path / "story.txt"
    text.write_bytes(b"\xef\xbb\xbfOnce upon a time,\r\nthere was \xc3\xa9\n")
    assert drop(files([text]), prompt.edit) == Qt.DropAction.CopyAction
    assert prompt.prompt_text() == "Once upon a time,\nthere was \u00e9\n"
    prompt.edit.undo()
    assert prompt.prompt_text() == ""
    for name, data, reason in (
        ("picture.png", b"\x89PNG\r\n\x1a\n\0", "picture.png is not a text."),
        ("zeros", bytes(100), "zeros is not a text."),
        ("long.txt", b"a" * 1_000_001, "long.txt is larger than 1 MB."),
    ):
        (tmp_path / name).write_bytes(data)
        drop(files([tmp_path / name]), prompt.edit)
        assert prompt.prompt_text() == ""
        qtbot.waitUntil(partial(prompt_says, window, reason))
        assert prompt.notice.isVisible()
    prompt.set_prompt_text("Once")
    assert not prompt.notice.isVisible()
    for refused in (files([tmp_path]), files([tmp_path, text])):  # a folder
        assert drop(refused, prompt.edit) == Qt.DropAction.IgnoreAction
    assert drop(files([text]), prompt.edit, Qt.DropAction.MoveAction) == Qt.DropAction.IgnoreAction
    assert prompt.prompt_text() == "Once"
    assert drop(words(" upon"), prompt.edit) == Qt.DropAction.CopyAction
    assert prompt.prompt_text() == "Once upon"


def test_options_round_trip_and_greedy_greys(window: MainWindow, qtbot: QtBot) -> None:
    panel = window.options
    options = GenerationOptions(
        max_new_tokens=1_000_000, greedy=False, temperature=1.25, top_k=7, top_p=0.9, min_p=0.05,
        repetition_penalty=1.1, stop=("\n\n", " END|\\x", "\t"), seed=2**31 - 1, ignore_eos=True,
    )  # fmt: skip
    panel.token_details = False
    panel.set_options(options)
    assert panel.options() == options
    assert panel._fields["temperature"].isEnabled()
    panel.choice.button("greedy").click()
    for name in ("temperature", "top_k", "top_p", "min_p"):
        assert not panel._fields[name].isEnabled()
    assert panel._fields["repetition_penalty"].isEnabled()
    assert panel.options().greedy
    panel.set_timing("together")
    assert panel.timing() == "together"
    panel.dice.click()
    panel.options().check()
