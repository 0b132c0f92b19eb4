"""Fields that neither the wheel nor a single key changes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QWidget
from pytestqt.qtbot import QtBot

import playground.gui
from playground.gui.toolkit.described import EXPLANATION, DescribedDelegate
from playground.gui.toolkit.elided import ElidedComboBox
from playground.gui.toolkit.fields import ComboBox, DoubleSpinBox, SpinBox
from tests.gui.support import MakeWindow

KEY = Qt.Key


@pytest.fixture
def combo(qtbot: QtBot) -> ComboBox:
    made = ComboBox()
    made.addItems(["bf16", "int8", "GPTQ"])
    qtbot.addWidget(made)
    made.show()
    made.setFocus()
    return made


def turn(widget: QWidget, notches: int) -> bool:
    """Turn the wheel over a widget; return whether the widget took the event."""
    event = QWheelEvent(
        QPointF(5, 5), widget.mapToGlobal(QPointF(5, 5)), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    event.accept()
    widget.event(event)
    return event.isAccepted()


def test_the_wheel_changes_no_field_of_the_window(qtbot: QtBot, make_window: MakeWindow) -> None:
    window = make_window().window
    window.options.choice.button("sample").click()
    fields = [
        w for w in window.findChildren(QWidget) if isinstance(w, QComboBox | QAbstractSpinBox)
    ]
    assert len(fields) > 10
    for field in fields:
        field.setFocus()
        before = field.currentText() if isinstance(field, QComboBox) else field.text()
        assert not turn(field, 1)
        assert not turn(field, -1)
        assert before == (field.currentText() if isinstance(field, QComboBox) else field.text())


@pytest.mark.parametrize(
    "key", [KEY.Key_Down, KEY.Key_Up, KEY.Key_End, KEY.Key_PageDown, KEY.Key_G]
)
def test_a_key_opens_the_list_and_changes_nothing(
    qtbot: QtBot, combo: ComboBox, key: Qt.Key
) -> None:
    combo.setCurrentIndex(1)
    with qtbot.assertNotEmitted(combo.activated), qtbot.assertNotEmitted(combo.currentIndexChanged):
        qtbot.keyClick(combo, key)
        assert combo.view().isVisible()
        qtbot.keyClick(combo.view(), KEY.Key_Escape)
    assert not combo.view().isVisible()


def test_a_letter_finds_the_entry_and_enter_commits_it(qtbot: QtBot, combo: ComboBox) -> None:
    qtbot.keyClick(combo, KEY.Key_G)
    with qtbot.waitSignal(combo.activated) as chosen:
        qtbot.keyClick(combo.view(), KEY.Key_Return)
    assert chosen.args == [2]
    assert combo.currentText() == "GPTQ"


def test_explanations_wrap_in_a_list_of_bounded_width(qtbot: QtBot) -> None:
    combo = ElidedComboBox()
    qtbot.addWidget(combo)
    combo.setItemDelegate(DescribedDelegate(combo))
    for name in ("one", "two"):
        combo.addItem(name)
        combo.setItemData(combo.count() - 1, "a long explanation of it " * 20, EXPLANATION)
    combo.show()
    combo.showPopup()
    view = combo.view()
    assert view.window().width() < 480
    lines = view.sizeHintForRow(0) / view.fontMetrics().lineSpacing()
    assert lines > 5
    assert view.visualRect(view.model().index(1, 0)).bottom() <= view.viewport().height()
    combo.hidePopup()


def test_the_window_uses_no_other_fields() -> None:
    own = {kind.__mro__[1].__name__ for kind in (ComboBox, SpinBox, DoubleSpinBox)}
    folder = Path(playground.gui.__file__).parent
    others = []
    for path in folder.rglob("*.py"):
        if path == folder / "toolkit" / "fields.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            bases = node.bases if isinstance(node, ast.ClassDef) else []
            names = {n.id for n in (called, *bases) if isinstance(n, ast.Name)}
            others += [(path.name, name) for name in names & own]
    assert not others
