"""The stream view keeps text exact, the user's selection, and its speed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QTextCursor
from pytestqt.qtbot import QtBot

from playground.gui.lanes.stream_view import StreamView
from playground.gui.toolkit.paragraphs import HARD_LENGTH
from tests.gui.support import shown_text


@pytest.fixture
def view(qtbot: QtBot) -> StreamView:
    stream = StreamView()
    qtbot.addWidget(stream)
    stream.resize(300, 200)
    stream.show()
    return stream


def select(view: StreamView, start: int, end: int) -> None:
    cursor = view.textCursor()
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    view.setTextCursor(cursor)


def test_selection_survives_appends_even_at_the_end(view: StreamView) -> None:
    view.append("hello world")
    select(view, 6, 11)
    view.append(", and more")
    assert view.textCursor().selectedText() == "world"
    assert view.toPlainText() == "hello world, and more"


def test_html_is_shown_literally(view: StreamView) -> None:
    text = "<b>bold</b> &amp; <img src='file:///etc/passwd'> <script>x</script>"
    view.begin_turn("user", text)
    view.append(text)
    assert view.toPlainText() == f"You\n{text}\n\nModel\n{text}"


def test_long_paragraphs_are_broken_in_view_only(view: StreamView) -> None:
    text = "word " * 3_000 + "\nsecond 🎉 paragraph " + "x" * 7_000
    for start in range(0, len(text), 37):
        view.append(text[start : start + 37])
    block = view.document().begin()
    lengths = []
    while block.isValid():
        lengths.append(block.length())
        block = block.next()
    assert max(lengths) <= HARD_LENGTH + 1
    assert len(lengths) > 8
    view.selectAll()
    assert view.selected_text() == text
    view.copy()
    assert QGuiApplication.clipboard().text() == text
    assert shown_text(view) == text


def test_partial_selection_over_a_break_counts_utf16(view: StreamView) -> None:
    text = "🎉" * 1_500 + "tail"
    view.append(text)
    view.selectAll()
    assert view.selected_text() == text
    cursor = view.textCursor()
    cursor.movePosition(QTextCursor.MoveOperation.Start)
    cursor.movePosition(QTextCursor.MoveOperation.NextCharacter, QTextCursor.MoveMode.KeepAnchor, 3)
    view.setTextCursor(cursor)
    assert view.selected_text() == "🎉🎉🎉"


def test_control_characters_and_surrogates_do_no_harm(view: StreamView) -> None:
    text = "a\0b\x1b[31m\ud800c\ufdd0d\u2029e\u202ef"
    view.append(text)
    shown = view.toPlainText()
    assert "\0" not in shown
    assert "a\u2400b\u241b[31m\ufffdc\ufffdd\ne" in shown


def test_carriage_returns_split_over_pieces_are_one_line_break(view: StreamView) -> None:
    view.append("one\r")
    view.append("\ntwo\r\nthree")
    assert view.toPlainText() == "one\ntwo\nthree"


def test_scroll_is_pinned_only_at_the_end(view: StreamView, qtbot: QtBot) -> None:
    bar = view.verticalScrollBar()
    for _ in range(50):
        view.append("a line\n")
    assert bar.value() == bar.maximum() > 0
    bar.setValue(3)
    view.append("another\n" * 20)
    assert bar.value() == 3
    button = next(c for c in view.children() if getattr(c, "accessibleName", str)() != "")
    assert button is not None
    view.scroll_to_end()
    view.append("end\n" * 5)
    assert bar.value() == bar.maximum()


def test_a_new_turn_is_scrolled_to(view: StreamView) -> None:
    view.append("line\n" * 100)
    bar = view.verticalScrollBar()
    bar.setValue(0)
    view.append("more\n")
    assert bar.value() == 0
    view.begin_turn("prompt", "Once upon a time")
    assert bar.value() == bar.maximum()
    view.append("there was\n" * 20)
    assert bar.value() == bar.maximum()


def test_turns_are_labelled(view: StreamView) -> None:
    view.begin_turn("user", "Hi")
    view.append("Hello")
    view.end_turn()
    view.begin_turn("user", "Bye")
    view.append("See you")
    assert view.toPlainText() == "You\nHi\n\nModel\nHello\n\nYou\nBye\n\nModel\nSee you"
    view.clear_all()
    assert view.toPlainText() == ""
    view.append("An answer without a message")
    assert view.toPlainText() == "An answer without a message"


def test_raw_prompt_and_answer_are_one_text(view: StreamView) -> None:
    view.begin_turn("prompt", "Once upon")
    view.append(" a time")
    assert view.toPlainText() == "Once upon a time"


def test_huge_prompt_shows_head_and_tail_only(view: StreamView) -> None:
    view.begin_turn("prompt", "x" * 1_000_000)
    assert len(view.toPlainText()) < 30_000
    assert "980,000 characters not shown" in view.toPlainText()


def test_keyboard_selects_but_does_not_edit(view: StreamView, qtbot: QtBot) -> None:
    view.append("text")
    qtbot.keyClick(view, Qt.Key.Key_X)
    qtbot.keyClick(view, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert view.toPlainText() == "text"
    assert view.selected_text() == "text"


def test_a_program_that_copied_text_ends_well() -> None:
    """The clipboard outlives the interpreter."""
    program = (
        "from PySide6.QtWidgets import QApplication\n"
        "from playground.gui.lanes.stream_view import StreamView\n"
        "app = QApplication([])\n"
        "view = StreamView()\n"
        "view.append('some text')\n"
        "view.selectAll()\n"
        "view.copy()\n"
        "assert app.clipboard().text() == 'some text'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
