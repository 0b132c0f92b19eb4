"""Tokens are found in the text where the view shows them, and told of with their probabilities."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.lane import LaneConfig
from playground.core.protocol import Tokens
from playground.core.token_record import Alternative, TokenDetail
from playground.gui.lanes.generation import Generation
from playground.gui.lanes.stream_view import StreamView
from playground.gui.lanes.token_inspector import TokenInspector

#: Line ends of every kind, one of them in two tokens; characters of two units; a long paragraph.
TEXTS = ["One", " two\r", "\nthree\r\n", "", "\U0001f642\U0001f642", " x\u2029y", *[" word"] * 900]


def shown(*, ended: bool = False) -> tuple[StreamView, TokenInspector]:
    view = StreamView()
    inspector = TokenInspector(view)
    view.resize(400, 200)
    view.show()
    view.begin_turn("prompt", "Count: ")
    options = GenerationOptions(top=2)
    generation = Generation(1, LaneConfig(), RawPrompt("Count: "), options, "in turn")
    for start in range(0, len(TEXTS), 70):
        texts = tuple(TEXTS[start : start + 70])
        ids = tuple(range(start, start + len(texts)))
        found = tuple(
            TokenDetail(-0.5, 2, (Alternative(7777, " other", -0.25), Alternative(i, t, -0.5)))
            for i, t in zip(ids, texts, strict=True)
        )
        times = tuple(0.5 + i / 8 for i in ids)
        view.append(generation.take([Tokens(1, ids, texts, times, found)]))
        inspector.follow(generation)
    generation.ended = ended
    return view, inspector


def text_of(view: StreamView, number: int) -> str:
    inspector_marks = view.extraSelections()
    assert len(inspector_marks) <= 1, number
    return inspector_marks[0].cursor.selectedText() if inspector_marks else ""  # type: ignore[attr-defined]


def test_every_token_is_marked_where_its_text_is(qapp: object) -> None:
    view, inspector = shown()
    expected = ["One", " two\u2029", "three\u2029", "", "\U0001f642\U0001f642", " x\u2029y"]
    for number, text in enumerate(expected, start=1):
        inspector.mark(number)
        assert text_of(view, number) == text
    broken = len(view.breaks())
    assert broken >= 2
    for number in range(7, len(TEXTS) + 1):
        inspector.mark(number)
        # A break that was inserted may lie inside.
        assert text_of(view, number).replace("\u2029", "") == " word"
    inspector.mark(0)
    assert not view.extraSelections()
    view.deleteLater()


def test_the_keys_tell_of_each_token(qapp: object) -> None:
    view, inspector = shown()
    pointed: list[int] = []
    inspector.pointed.connect(pointed.append)
    view.setFocus()
    QTest.keyClick(view, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
    for _ in range(len("Count: One")):
        QTest.keyClick(view, Qt.Key.Key_Right)
    assert pointed == [1, 2]
    assert inspector.panel.isVisibleTo(view)
    told = inspector.panel.accessibleDescription()
    assert told == ("Token 2: ␣two␍, 60.7 % · rank 2 · latency 125 ms; ␣other 77.9 %; ␣two␍ 60.7 %")
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert not inspector.panel.isVisibleTo(view)
    view.deleteLater()


def test_the_mouse_tells_of_the_token_under_it(qapp: object) -> None:
    view, inspector = shown()
    view.verticalScrollBar().setValue(0)
    inspector.mark(1)
    marks = view.extraSelections()
    end = view.cursorRect(marks[0].cursor)  # type: ignore[attr-defined]
    point = QPointF(end.left() - 3, end.center().y())
    none = Qt.MouseButton.NoButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, point, point, none, none, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(view.viewport(), event)
    assert "Token 1: One" in inspector.panel.accessibleDescription()
    view.deleteLater()


def test_only_what_is_visible_is_shaded(qapp: object) -> None:
    view, inspector = shown()
    inspector.set_coloured(True)
    QTest.qWait(0)
    shaded = view.extraSelections()
    first, last = view.visible_span()
    assert 3 < len(shaded) < 300
    for mark in shaded:
        assert mark.cursor.selectionEnd() >= first  # type: ignore[attr-defined]
        assert mark.cursor.selectionStart() <= last  # type: ignore[attr-defined]
    inspector.set_coloured(False)
    QTest.qWait(0)
    assert not view.extraSelections()
    view.deleteLater()


@pytest.mark.parametrize("ended", [False, True])
def test_an_answer_that_has_ended_can_go_on_with_another_token(qapp: object, ended: bool) -> None:
    view, inspector = shown(ended=ended)
    asked: list[tuple[int, Alternative]] = []
    inspector.go_on.connect(lambda number, instead: asked.append((number, instead)))
    view.caret_moved.emit(len("Count: One"))
    menu = inspector.alternatives()
    if not ended:
        assert menu is None
        return
    assert menu is not None
    assert [(a.text(), a.isEnabled()) for a in menu.actions()] == [
        ("␣other\t77.9 %", True),
        ("␣two␍\t60.7 %", False),  # the token itself
    ]
    menu.actions()[0].trigger()
    assert asked == [(2, Alternative(7777, " other", -0.25))]
    view.deleteLater()
