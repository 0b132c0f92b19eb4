"""The dialog of the settings: changes take effect at once and are stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication, QCheckBox, QPushButton
from pytestqt.qtbot import QtBot

from playground.app.main import Playground
from playground.core.facts import CodeConsent
from playground.core.settings import Settings, SettingsStore
from playground.core.system import paths
from playground.gui.environments.dialog import EnvironmentsDialog
from playground.gui.settings.dialog import SettingsDialog
from playground.gui.toolkit import theme
from playground.gui.toolkit.segments import Segments
from tests.gui.support import MakeWindow

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")


def open_settings(playground: Playground) -> SettingsDialog:
    playground.window.actions.settings.trigger()
    (dialog,) = [d for d in playground.window.findChildren(SettingsDialog) if d.isVisible()]
    return dialog


def test_the_pages_are_rows_of_one_height(make_window: MakeWindow) -> None:
    dialog = open_settings(make_window())
    rows = [dialog.pages.visualItemRect(dialog.pages.item(n)) for n in range(dialog.pages.count())]
    assert {row.height() for row in rows} == {rows[0].height()}
    assert [row.top() for row in rows] == [n * rows[0].height() for n in range(len(rows))]
    needed = dialog.pages.sizeHintForRow(0)
    assert rows[0].height() == needed > dialog.pages.fontMetrics().height()
    dialog.close()


def stored(tmp_path: Path) -> Settings:
    return SettingsStore(tmp_path / "settings.toml").values


def test_a_change_takes_effect_at_once_and_is_stored(
    qtbot: QtBot, make_window: MakeWindow, tmp_path: Path
) -> None:
    playground = make_window()
    window = playground.window
    assert window.actions.settings.shortcut().toString() == "Ctrl+,"
    window.options.set_timing("together")
    dialog = open_settings(playground)
    timing, colours, floor = (dialog.fields[n] for n in ("timing", "theme", "plot_floor"))
    assert isinstance(timing, Segments)
    assert isinstance(colours, Segments)
    assert isinstance(floor, QCheckBox)
    assert timing.value() == "together"
    timing.button("in turn").click()
    assert window.options.timing() == "in turn"
    colours.button("dark").click()
    assert window.actions.themes["dark"].isChecked()
    assert theme.color("window").name() == theme.DARK.window
    floor.click()
    assert not window.plot.floor.isChecked()
    values = stored(tmp_path)
    assert (values.timing, values.theme, values.plot_floor) == ("in turn", "dark", False)
    dialog.close()


def test_folders_and_consents_can_be_removed(
    qtbot: QtBot, make_window: MakeWindow, tmp_path: Path
) -> None:
    consents = (CodeConsent("a/b", "1", "x"), CodeConsent("c/d", "2", "y"))
    playground = make_window(
        settings=Settings(code_consents=consents, model_folders=(str(tmp_path),))
    )
    dialog = open_settings(playground)
    dialog.revoke_button.click()
    assert playground.store.values.code_consents == consents[1:]
    assert stored(tmp_path).code_consents == consents[1:]
    dialog.revoke_button.click()
    assert not dialog.revoke_button.isEnabled()
    more = tmp_path / "more"
    dialog._folder_chosen(str(more))
    dialog._folder_chosen(str(more))
    assert stored(tmp_path).model_folders == (str(tmp_path), str(more))
    dialog.folders.setCurrentRow(0)
    dialog.remove_folder.click()
    assert stored(tmp_path).model_folders == (str(more),)
    dialog.close()


def test_places_are_copied_and_opened_and_environments_are_one_button_away(
    qtbot: QtBot, make_window: MakeWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    paths.data_dir().mkdir(parents=True)
    playground = make_window()
    dialog = open_settings(playground)
    dialog.pages.setCurrentRow(4)
    buttons = {b.accessibleName(): b for b in dialog.findChildren(QPushButton)}
    buttons["Copy the path of Data"].click()
    assert QApplication.clipboard().text() == str(paths.data_dir())
    buttons["Open the folder of Data"].click()
    assert opened == [QUrl.fromLocalFile(str(paths.data_dir()))]
    assert not buttons["Open the folder of Logs"].isEnabled()
    dialog.pages.setCurrentRow(2)
    dialog.environments_button.click()
    assert playground.window.findChildren(EnvironmentsDialog)
    dialog.close()


def test_a_screenshot_stores_no_settings(qtbot: QtBot, tmp_path: Path) -> None:
    playground = Playground(SettingsStore(tmp_path / "settings.toml"), keep_settings=False)
    playground.settings.change("theme", "dark")
    assert theme.color("window").name() == theme.DARK.window
    assert not (tmp_path / "settings.toml").exists()
    playground.window.close()
    assert playground.end()
