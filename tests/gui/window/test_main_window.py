"""The window: nothing clipped, everything named and in reach of the keyboard."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction
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
from playground.core.lane import Failure, LaneConfig, LaneState, Stage
from playground.core.precision import Precision
from playground.core.protocol import Activity
from playground.core.trace import FORMULAS, LatencyTrace
from playground.gui.lanes.availability import Availability
from playground.gui.lanes.lane_view import LaneView
from playground.gui.toolkit import theme
from playground.gui.toolkit.elided import ElidedButton, ElidedLabel
from playground.gui.window.command_palette import CommandPalette
from playground.gui.window.help_dialogs import ListDialog
from playground.gui.window.main_window import MainWindow

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
            "Download it again, or copy it again from its source.",
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
        available = Availability(
            "some-organisation/A-Model-With-A-Very-Long-Name-Instruct-GPTQ",
            dict.fromkeys(Precision, ""),
            (("cpu", "A processor with a long name"), ("cuda:0", "NVIDIA H100 80GB HBM3")),
        )
        view.show_config(LaneConfig(precision=Precision.GPTQ), available)
        view.show_state(STATES[index], 4.2)
        window.plot.set_lane(index, f"A-Model-With-A-Very-Long-Name-Instruct-GPTQ · lane {index}")
        trace = LatencyTrace([0.1 + 0.01 * i for i in range(2_000)])
        window.plot.update_lane(index, trace)
        window.table.set_row(index, f"lane {index}", trace.figures(12, 0.02), 81_559_000_000)


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


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_hint_can_be_read_in_the_smallest_window(
    window: MainWindow, qtbot: QtBot, lanes: int
) -> None:
    for index in range(lanes):
        window.lanes.insert(index, LaneView())
    window.resize(window.minimumSize())
    window.show()
    qtbot.waitExposed(window)
    stream = window.lanes.views()[-1].stream
    hint = stream.accessibleDescription()
    assert "Load to load it only" in hint
    flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
    room = stream.viewport().rect().adjusted(16, 8, -16, -8)
    needed = stream.fontMetrics().boundingRect(room, int(flags), hint)
    assert room.contains(needed)
    area = window.lanes.findChild(QScrollArea)
    assert area is not None

    stream.setFocus(Qt.FocusReason.TabFocusReason)
    area.ensureWidgetVisible(stream, 0, 0)  # as the Tab key does
    assert not outside(window, stream)
    # A text scrolls in the view, which then takes what it gets.
    least = stream.minimumSizeHint().height()
    stream.append("A text.")
    assert stream.minimumSizeHint().height() < least
    qtbot.waitUntil(lambda: not area.verticalScrollBar().isVisible())
    stream.clear_all()
    assert stream.minimumSizeHint().height() == least


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
            needed = table.sizeHintForIndex(table.model().index(row, column)).width()
            assert needed <= table.columnWidth(column), table.item(row, column).text()


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


def test_shortcuts_reach_lanes(window: MainWindow, qtbot: QtBot) -> None:
    fill(window, 3)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    views = window.lanes.views()
    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.AltModifier)
    assert window.focusWidget() is views[1].stream
    assert window.lanes.current() is views[1]
    qtbot.keyClick(views[1].stream, Qt.Key.Key_2, Qt.KeyboardModifier.AltModifier)
    assert window.lanes.enlarged() is None  # it only goes there, however often
    window.lanes.enlarge(views[1])
    assert [v.isVisible() for v in views] == [False, True, False]
    qtbot.keyClick(views[1].stream, Qt.Key.Key_3, Qt.KeyboardModifier.AltModifier)
    assert [v.isVisible() for v in views] == [False, False, True]
    assert window.lanes.current() is views[2]
    assert views[2].isAncestorOf(window.focusWidget())
    window.lanes.enlarge(None)
    assert all(v.isVisible() for v in views)
    qtbot.keyClick(views[1].stream, Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
    assert window.focusWidget() is window.prompt.edit


def test_the_reading_view_gives_the_texts_the_window(window: MainWindow, qtbot: QtBot) -> None:
    fill(window, 3)
    window.show()
    views, actions = window.lanes.views(), window.actions
    actions.toggle_plot.setChecked(False)
    first = views[0].stream
    before = first.height()
    actions.reading.trigger()
    shown_parts = (window.prompt, window.options, window.plot, window.table)
    assert not any(part.isVisible() for part in shown_parts)
    assert all(view.isVisible() for view in views)
    assert window.focusWidget() is first
    qtbot.waitUntil(lambda: first.height() > before)
    assert not views[0].header.precision.isVisible()
    assert views[0].header.model.full_text().endswith("· GPTQ 4-bit")
    assert first.viewport().height() / first.fontMetrics().lineSpacing() > 30

    saved = window.state()
    actions.reading.trigger()
    assert window.prompt.isVisible()
    assert not window.plot.isVisible()  # as it was before
    assert views[0].header.precision.isVisible()
    assert window.restore_state(saved)
    assert actions.reading.isChecked()
    assert not window.prompt.isVisible()
    actions.focus_prompt.trigger()  # what is asked for is shown
    assert window.prompt.isVisible()
    actions.reading.trigger()
    assert window.prompt.isVisible()


def test_options_fold_away_for_a_longer_prompt(window: MainWindow, qtbot: QtBot) -> None:
    window.show()
    prompt, options = window.prompt, window.options
    height = prompt.edit.height()
    options.set_folded(True)
    assert not options.ignore_eos.isVisible()
    assert options.choice.isVisible()
    qtbot.waitUntil(lambda: prompt.edit.height() > height)
    saved = window.state()
    window.actions.focus_options.trigger()
    assert options.ignore_eos.isVisible()
    assert window.restore_state(saved)
    assert options.folded()


def test_a_new_window_fits_into_a_small_screen(tmp_path: Path) -> None:
    """The screen has 1280 by 720 pixels at 150 %; only another process can have it."""
    program = (
        "from PySide6.QtWidgets import QApplication\n"
        "app = QApplication([])\n"
        "from playground.gui.window.help_dialogs import about\n"
        "from playground.gui.window.main_window import MainWindow\n"
        "window = MainWindow()\n"
        "window.show()\n"
        "dialog = about(window)\n"
        "dialog.show()\n"
        "app.processEvents()\n"
        "room = app.primaryScreen().availableSize()\n"
        "print(room.width(), room.height())\n"
        "for shown in (window, dialog):\n"
        "    size = shown.frameGeometry().size()\n"
        "    assert size.width() <= room.width() and size.height() <= room.height(), size\n"
        "assert window.options.folded() and not window.plot.isVisible()\n"
    )
    screen = tmp_path / "screen.json"
    screen.write_text('{"screens": [{"name": "small", "width": 1280, "height": 720, "dpr": 1}]}')
    platform = f"offscreen:configfile={screen}"
    environment = {**os.environ, "QT_QPA_PLATFORM": platform, "QT_SCALE_FACTOR": "1.5"}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["853", "480"]


def test_the_tabs_of_an_enlarged_lane_follow_the_lanes(window: MainWindow, qtbot: QtBot) -> None:
    fill(window, 2)
    window.show()
    first, second = window.lanes.views()
    window.lanes.enlarge(first)
    config = LaneConfig(precision=Precision.NF4)
    second.show_config(config, Availability("another & model"))
    tabs = [b for b in window.lanes.findChildren(ElidedButton) if b.property("kind") == "tab"]
    assert [tab.full_text() for tab in tabs] == [first.title(), "2 · another & model · NF4 4-bit"]
    assert tabs[1].accessibleName() == "Enlarge 2 · another & model · NF4 4-bit"
    added = LaneView()
    window.lanes.insert(2, added)  # would be invisible beside the enlarged one
    assert all(v.isVisible() for v in (first, second, added))
    assert window.lanes.enlarged() is None


def test_lanes_are_moved_and_removed(window: MainWindow) -> None:
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
    row = palette.list.visualItemRect(palette.list.currentItem())
    assert row.height() > palette.list.fontMetrics().height() + 8  # room, as in every list
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
    model = dialog.list.model()
    names = {model.index(row, 0).data() for row in range(model.rowCount())}
    assert set(FORMULAS) <= names


def test_about_shows_the_versions(window: MainWindow) -> None:
    window.show()
    window.actions.about.trigger()
    dialog = window.findChild(ListDialog)
    assert dialog is not None
    assert playground.__version__ in dialog.list.model().index(0, 1).data()


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


def test_closing_is_emitted(window: MainWindow, qtbot: QtBot) -> None:
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
