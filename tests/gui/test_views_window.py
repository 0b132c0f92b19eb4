"""The window: nothing clipped, everything named and in reach of the keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtGui import QAction, QGuiApplication, QTextCursor
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QWidget,
)
from pytestqt.qtbot import QtBot

import playground
from playground.core.generation import GenerationOptions
from playground.core.lane import Failure, LaneConfig, LaneState, Stage
from playground.core.precision import Precision
from playground.core.protocol import Activity
from playground.core.trace import FORMULAS, LatencyTrace
from playground.gui import theme
from playground.gui.main_window import MainWindow
from playground.gui.views.command_palette import CommandPalette
from playground.gui.views.figures_help import ListDialog
from playground.gui.views.lane_view import LaneView
from playground.gui.views.widgets import ElidedButton, ElidedLabel

#: The offscreen platform says so of every window with a smallest size.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)

STATES = (
    LaneState(),
    LaneState(
        stage=Stage.LOADING,
        activity=Activity.READING_WEIGHTS,
        fraction=0.4,
        detail="412 MB of 1.2 GB",
        since=1.0,
    ),
    LaneState(
        stage=Stage.FAILED,
        failure=Failure(
            "model-00001-of-00002.safetensors is truncated: 1,204,442,112 bytes are there and "
            "4,976,698,592 belong.",
            "Download it again, or copy it again from where it came.",
            "Traceback",
        ),
    ),
    LaneState(stage=Stage.GENERATING, activity=Activity.READING_PROMPT, since=1.0),
)


def fill(window: MainWindow, count: int) -> None:
    for index in range(count):
        view = LaneView()
        window.lanes.insert(index, view)
        view.set_index(index)
        view.show_config(
            LaneConfig(precision=Precision.GPTQ),
            "some-organisation/A-Model-With-A-Very-Long-Name-Instruct-GPTQ",
            dict.fromkeys(Precision, ""),
            [("cpu", "A processor with a long name"), ("cuda:0", "NVIDIA H100 80GB HBM3")],
        )
        view.show_state(STATES[index], 4.2)
        window.plot.set_lane(index, f"A-Model-With-A-Very-Long-Name-Instruct-GPTQ · lane {index}")
        trace = LatencyTrace([0.1 + 0.01 * i for i in range(2_000)])
        window.plot.update_lane(index, trace)
        window.table.set_row(index, f"lane {index}", trace.figures(12, 0.02), 81_559_000_000)


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication) -> Iterator[MainWindow]:
    theme.apply_theme(qapp, "light")
    made = MainWindow()
    made.resize(1280, 720)
    yield made
    made.close()
    made.deleteLater()
    # Without an event loop nobody else does it, and every window left makes the next slower.
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def shown(window: QWidget, kinds: tuple[type[QWidget], ...]) -> list[QWidget]:
    found = [w for w in window.findChildren(QWidget) if isinstance(w, kinds)]
    return [w for w in found if w.isVisibleTo(window) and w.size().isValid()]


def outside(window: QWidget, widget: QWidget) -> bool:
    corner = widget.mapTo(window, QPoint(0, 0))
    visible = widget.visibleRegion().boundingRect()
    return visible.size() != widget.size() or corner.x() < 0 or corner.y() < 0


@pytest.mark.parametrize("lanes", [1, 2, 3, 4])
@pytest.mark.parametrize("choice", ["light", "dark"])
def test_nothing_is_clipped_at_1280_by_720(
    window: MainWindow, qtbot: QtBot, qapp: QApplication, lanes: int, choice: str
) -> None:
    theme.apply_theme(qapp, choice)
    fill(window, lanes)
    window.show()
    qtbot.waitExposed(window)
    qtbot.waitUntil(lambda: not window.plot._pending.isActive())
    assert (window.width(), window.height()) == (1280, 720)
    wanted = (QAbstractButton, QComboBox, QAbstractSpinBox, QPlainTextEdit, QLabel)
    cut = [
        (type(w).__name__, w.accessibleName() or getattr(w, "text", str)(), w.size())
        for w in shown(window, wanted)
        if outside(window, w) and w.height() > 0
    ]
    assert not cut
    for area in window.findChildren(QScrollArea):
        assert not area.verticalScrollBar().isVisible()
        assert not area.horizontalScrollBar().isVisible()
    assert not window.table.horizontalScrollBar().isVisible()
    assert not window.table.verticalScrollBar().isVisible()


def test_no_text_is_wider_than_its_widget(window: MainWindow, qtbot: QtBot) -> None:
    fill(window, 4)
    window.show()
    qtbot.waitExposed(window)
    tight = []
    for widget in shown(window, (QAbstractButton, QLabel)):
        text = widget.text().replace("&", "")  # type: ignore[attr-defined]
        if isinstance(widget, QLabel) and widget.wordWrap():
            if widget.heightForWidth(widget.width()) > widget.height():
                tight.append(text)
        elif isinstance(widget, ElidedLabel | ElidedButton):
            if widget.fontMetrics().horizontalAdvance(text) > widget.width():
                tight.append(text)
        elif text and widget.sizeHint().width() > widget.width() + 1:
            tight.append(text)
    assert not tight
    table = window.table
    for row in range(table.rowCount()):
        for column in range(1, table.columnCount()):
            item = table.item(row, column)
            assert item is not None
            room = table.columnWidth(column) - 16
            assert table.fontMetrics().horizontalAdvance(item.text()) <= room, item.text()


def test_everything_interactive_has_a_name(window: MainWindow) -> None:
    fill(window, 3)
    kinds = (QAbstractButton, QComboBox, QAbstractSpinBox, QLineEdit, QPlainTextEdit)
    nameless = [
        w
        for w in window.findChildren(QWidget)
        if isinstance(w, kinds)
        and w.focusPolicy() != Qt.FocusPolicy.NoFocus
        and not (w.accessibleName() or (isinstance(w, QAbstractButton) and w.text()))
        and not isinstance(w.parentWidget(), QAbstractSpinBox)
    ]
    assert not nameless
    for button in window.findChildren(QAbstractButton):
        if button.focusPolicy() != Qt.FocusPolicy.NoFocus and not button.text():
            assert button.toolTip(), button.accessibleName()


def test_tab_reaches_every_part(window: MainWindow, qtbot: QtBot) -> None:
    fill(window, 3)
    window.show()
    qtbot.waitExposed(window)
    window.prompt.focus_prompt()
    start = window.focusWidget()
    seen: list[QWidget] = []
    widget: QWidget | None = start
    for _ in range(200):
        assert widget is not None
        qtbot.keyClick(widget, Qt.Key.Key_Tab)
        widget = window.focusWidget()
        if widget is start:
            break
        if widget is not None:
            seen.append(widget)
    assert widget is start
    views = window.lanes.views()
    parts: list[QWidget] = [window.options, window.plot, window.table, *views]
    for part in parts:
        assert any(w is part or part.isAncestorOf(w) for w in seen), part
    # Along the sidebar first, then the lanes from left to right, the plot and the table.
    order = [next(i for i, w in enumerate(seen) if w is p or p.isAncestorOf(w)) for p in parts]
    assert order[0] < order[3] < order[4] < order[5] < order[1] < order[2]


def test_shortcuts_reach_lanes_and_enlarge_them(window: MainWindow, qtbot: QtBot) -> None:
    fill(window, 3)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    views = window.lanes.views()
    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.AltModifier)
    assert window.focusWidget() is views[1].stream
    assert window.lanes.current() is views[1]
    with qtbot.waitSignal(views[1].enlargeRequested):
        qtbot.keyClick(views[1].stream, Qt.Key.Key_2, Qt.KeyboardModifier.AltModifier)
    window.lanes.enlarge(views[1])
    assert [v.isVisible() for v in views] == [False, True, False]
    window.lanes.enlarge(None)
    assert all(v.isVisible() for v in views)
    qtbot.keyClick(views[1].stream, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    assert window.focusWidget() is window.prompt.edit


def test_lanes_move_and_go(window: MainWindow) -> None:
    fill(window, 3)
    first, second, third = window.lanes.views()
    window.lanes.move(third, 0)
    assert window.lanes.views() == [third, first, second]
    assert window.lanes._splitter.indexOf(third) == 0
    window.lanes.remove(first)
    assert window.lanes.views() == [third, second]
    assert first.parent() is None
    first.deleteLater()


def test_state_is_restored(window: MainWindow, qtbot: QtBot) -> None:
    window.actions.toggle_sidebar.setChecked(False)
    state = window.state()
    other = MainWindow()
    qtbot.addWidget(other)
    assert other.restore_state(state)
    assert not other.actions.toggle_sidebar.isChecked()
    assert not other.restore_state(b"")
    assert not other.restore_state(b"rubbish that is no state")
    assert not other.restore_state(state[:20])


def test_palette_filters_and_runs(window: MainWindow, qtbot: QtBot) -> None:
    window.show()
    window.actions.palette.trigger()
    palette = window.findChild(CommandPalette)
    assert palette is not None
    assert len(palette.shown_names()) > 20
    qtbot.keyClicks(palette.field, "add la")
    assert palette.shown_names()[0] == "Add lane"
    with qtbot.waitSignal(window.actions.add_lane.triggered):
        qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert not palette.isVisible()


def test_palette_does_not_run_what_is_disabled(qtbot: QtBot) -> None:
    action = QAction("Do it")
    action.setEnabled(False)
    palette = CommandPalette([action])
    qtbot.addWidget(palette)
    palette.open_palette()
    with qtbot.assertNotEmitted(action.triggered):
        qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    qtbot.keyClicks(palette.field, "xyz")
    assert palette.shown_names() == []


def test_help_names_every_formula(window: MainWindow) -> None:
    window.show()
    window.actions.help_figures.trigger()
    dialog = window.findChild(ListDialog)
    assert dialog is not None
    names = {
        item.text(0)
        for i in range(dialog.list.topLevelItemCount())
        if (item := dialog.list.topLevelItem(i)) is not None
    }
    assert set(FORMULAS) <= names


def test_about_tells_versions(window: MainWindow) -> None:
    window.show()
    window.actions.about.trigger()
    dialog = window.findChild(ListDialog)
    assert dialog is not None
    item = dialog.list.topLevelItem(0)
    assert item is not None
    assert playground.__version__ in item.text(1)


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
        "int8", "50.0 ms", "10.0 ms", "10.0 ms", "10.0 ms", "250 tok/s", "100 tok/s", "70.0 ms",
        "512 MB", "3",
    ]  # fmt: skip
    table.remove_row(0)
    assert table.rowCount() == 1


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
    with qtbot.waitSignal(prompt.modeChanged) as chosen:
        prompt.modes.button("chat").click()
    assert chosen.args == ["chat"]
    with qtbot.waitSignal(prompt.modeChanged) as chosen:
        prompt.set_chat_available(False, "gone")
    assert prompt.mode() == "raw"
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


def test_options_round_trip_and_greedy_greys(window: MainWindow, qtbot: QtBot) -> None:
    panel = window.options
    options = GenerationOptions(
        max_new_tokens=1_000_000, greedy=False, temperature=1.25, top_k=7, top_p=0.9, min_p=0.05,
        repetition_penalty=1.1, stop=("\n\n", " END|\\x", "\t"), seed=2**31 - 1, ignore_eos=True,
    )  # fmt: skip
    with qtbot.assertNotEmitted(panel.changed):
        panel.set_options(options)
    assert panel.options() == options
    assert panel._fields["temperature"].isEnabled()
    with qtbot.waitSignal(panel.changed):
        panel.choice.button("greedy").click()
    for name in ("temperature", "top_k", "top_p", "min_p"):
        assert not panel._fields[name].isEnabled()
    assert panel._fields["repetition_penalty"].isEnabled()
    assert panel.options().greedy
    panel.set_timing("together")
    assert panel.timing() == "together"
    panel.dice.click()
    panel.options().check()


def test_message_bar(window: MainWindow) -> None:
    bar = window.messages
    assert bar.isHidden()
    bar.show_message("<b>It</b> failed.", "error", "Do that.")
    assert bar.text() == "<b>It</b> failed. Do that."
    bar.show_message("Another.", "warning")
    assert bar.text() == "Another."
    assert bar.level() == "warning"
    bar.close_button.click()
    assert bar.isHidden()


def test_closing_is_told(window: MainWindow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(window.closing):
        window.close()


def test_lanes_that_moved_while_one_was_enlarged_have_one_width_again(window: MainWindow) -> None:
    fill(window, 3)
    window.show()
    views = window.lanes.views()
    window.lanes.enlarge(views[1])
    window.lanes.move(views[1], 0)
    window.lanes.enlarge(None)
    QApplication.processEvents()
    widths = [view.width() for view in views]
    assert max(widths) - min(widths) <= 2


def test_the_lane_that_had_the_focus_stays_the_current_one(
    window: MainWindow, qtbot: QtBot
) -> None:
    fill(window, 3)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    views = window.lanes.views()
    window.lanes.focus_lane(1)
    qtbot.waitUntil(lambda: window.focusWidget() is views[1].stream)
    window.prompt.focus_prompt()
    assert window.lanes.current() is views[1]
    window.lanes.remove(views[1])
    assert window.focusWidget() is window.prompt.edit
    assert window.lanes.current() is views[0]


def test_the_plot_is_exported_without_holding_up_the_window(
    window: MainWindow, tmp_path: Path
) -> None:
    window.plot.ask_export()  # returns, or the test would hang here
    dialog = window.plot.findChild(QFileDialog)
    assert dialog is not None
    dialog.filterSelected.emit("CSV table (*.csv)")
    dialog.selectFile(str(tmp_path / "numbers"))
    dialog.accept()
    assert (tmp_path / "numbers.csv").read_text().startswith("lane,name,token")
