"""Everything that takes the focus has a name that a screen reader can say."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.gui.downloads.panel import DownloadsWindow
from playground.gui.environments.dialog import EnvironmentsDialog
from playground.gui.history.dialog import HistoryDialog
from playground.gui.quantize.state import QuantizeStage
from playground.gui.reference.dialog import FoundingDialog
from playground.gui.settings.dialog import SettingsDialog
from playground.gui.window.command_palette import CommandPalette
from playground.gui.window.help_dialogs import ListDialog
from tests.gui.browser.support import MakePicker, add, select, settle, weights
from tests.gui.support import LONG, MakeWindow
from tests.support.hub_server import HubServer
from tests.support.tiny_model import tiny_model_files, write_files

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints|This plugin does not support")


def nameless(window: QWidget) -> list[str]:
    """What could get the focus (now or when it is shown) and says no name, text or label."""
    found = []
    for widget in [window, *window.findChildren(QWidget)]:
        if widget.focusPolicy() == Qt.FocusPolicy.NoFocus or widget.isWindow():
            continue
        if isinstance(widget, QLabel) and not widget.text():
            continue  # a place for a text to come
        if isinstance(widget, QPushButton) and widget.isHidden() and not widget.text():
            continue  # it is shown with one
        interface = QAccessible.queryAccessibleInterface(widget)
        if interface is None or not interface.text(QAccessible.Text.Name).strip():
            above = widget.parentWidget()
            around = above.accessibleName() or type(above).__name__ if above else ""
            found.append(f"{type(widget).__name__} {widget.objectName()} in {around}")
    return found


def test_of_the_window_and_the_dialogs_that_its_menus_open(make_window: MakeWindow) -> None:
    window = make_window().window
    actions = window.actions
    assert nameless(window) == []
    for action, kind in (
        (actions.settings, SettingsDialog),
        (actions.founding, FoundingDialog),
        (actions.environments, EnvironmentsDialog),
        (actions.history, HistoryDialog),
        (actions.downloads, DownloadsWindow),
        (actions.palette, CommandPalette),
        (actions.help_figures, ListDialog),
    ):
        action.trigger()
        (dialog,) = [d for d in window.findChildren(kind) if d.isVisible()]
        assert nameless(dialog) == []
        dialog.close()


def test_of_the_model_browser(qtbot: QtBot, hub: HubServer, make_picker: MakePicker) -> None:
    add(hub, "owner/model", safetensors=weights(1e9))
    picker = make_picker()
    settle(qtbot, picker)
    select(picker, "owner/model")
    qtbot.waitUntil(lambda: picker.page.download_button.isVisible(), timeout=LONG)
    assert nameless(picker) == []


def test_of_the_window_for_a_quantized_copy(
    qtbot: QtBot, make_window: MakeWindow, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "tiny", tiny_model_files(hidden=64, layers=2))
    playground = make_window(real=True)
    playground.quantize.open(ModelSpec(str(folder)), "cpu")
    dialog = playground.quantize.dialog
    assert dialog is not None
    controller = playground.quantize.controller
    qtbot.waitUntil(lambda: controller.state.stage is QuantizeStage.CHOOSING, timeout=LONG)
    assert nameless(dialog) == []
    dialog.reject()
