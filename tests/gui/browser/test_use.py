"""The model browser under the hand: what its rows say, its keys, its menu, its names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.core.format import age, short_count
from playground.gui.browser.model_list import Entry
from playground.gui.browser.text import cells
from playground.gui.models.choice import ModelChoice
from playground.hub.local.resolve import BUNDLED_NAME
from tests.gui.browser.support import (
    COMMIT,
    FILES,
    MakePicker,
    add,
    lines,
    names,
    select,
    settle,
)
from tests.gui.support import LONG
from tests.support.cached_model import put_snapshot
from tests.support.hub_server import HubServer
from tests.support.tiny_model import write_files

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


@pytest.mark.parametrize(
    ("days", "said"),
    [(0.5, "today"), (1, "1 day"), (59, "59 days"), (61, "2 months"), (700, "22 months"),
     (800, "2 years")],
)  # fmt: skip
def test_ages(days: float, said: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert age(now - timedelta(days=days), now) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0"), (812, "812"), (1234, "1.23 k"), (999_999, "1 M"), (7_241_000_000, "7.24 B")],
)
def test_counts(count: int, said: str) -> None:
    assert short_count(count) == said


def test_the_keyboard_is_enough(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer, home: Path
) -> None:
    put_snapshot(hub.cache(home), "owner/one", COMMIT, FILES, "main")
    put_snapshot(hub.cache(home), "owner/two", COMMIT, FILES, "main")
    picker = make_picker()
    settle(qtbot, picker)
    search, list_ = picker.view.filters.search, picker.view.list
    assert picker.focusWidget() is search
    qtbot.keyClicks(search, "owner")
    qtbot.keyClick(search, Qt.Key.Key_Return)  # at once
    settle(qtbot, picker)
    qtbot.keyClick(search, Qt.Key.Key_Down)
    assert picker.focusWidget() is list_
    first, second = names(picker)
    current = picker.browser.current()
    assert current is not None
    assert current.name == first
    qtbot.keyClick(list_, Qt.Key.Key_Up)
    assert picker.focusWidget() is search
    qtbot.keyClick(search, Qt.Key.Key_Down)
    qtbot.keyClick(list_, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: picker.spec == ModelSpec(second))
    with qtbot.waitSignal(picker.chosen) as chosen:
        qtbot.keyClick(list_, Qt.Key.Key_Return)
    assert chosen.args == [ModelChoice(None, model=ModelSpec(second))]


def test_untrusted_texts_stay_plain(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer, home: Path
) -> None:
    hostile = '<img src="http://x/y.png">\u202egpj\n<b>bold</b>'
    add(hub, "owner/hostile", f"license:{hostile}", library_name=hostile)
    write_files(home / "mine" / "<b>bold\n\u202efolder", FILES)
    picker = make_picker(folders=[str(home / "mine")])
    settle(qtbot, picker)
    model = picker.view.list.rows
    for row, line in enumerate(lines(picker)):
        if isinstance(line, Entry):
            index = model.index(row)
            tip = index.data(Qt.ItemDataRole.ToolTipRole)
            assert "<img" not in tip
            assert "<b>" not in tip
            for role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
                assert not {"\n", "\u202e"} & set(index.data(role))
            assert not {"\n", "\u202e"} & set("".join(cells(line)))


def test_enter_on_a_model_of_the_hub_leads_to_its_download(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer
) -> None:
    add(hub, "owner/model")
    picker = make_picker()
    settle(qtbot, picker)
    select(picker, "owner/model")
    qtbot.waitUntil(picker.page.download_button.isVisible, timeout=LONG)
    qtbot.keyClick(picker.view.list, Qt.Key.Key_Return)
    assert picker.isVisible()
    assert picker.focusWidget() is picker.page.download_button
    qtbot.keyClick(picker.page.download_button, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: picker.spec == ModelSpec("owner/model"), timeout=LONG)
    settle(qtbot, picker)
    assert picker.focusWidget() is picker.view.list
    assert set(names(picker, "On this machine")) == {"owner/model", BUNDLED_NAME}


def test_escape_closes_and_f5_refreshes(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer, home: Path
) -> None:
    picker = make_picker()
    settle(qtbot, picker)
    add(hub, "owner/new")
    put_snapshot(hub.cache(home), "owner/here", COMMIT, FILES, "main")
    qtbot.keyClick(picker.view.list, Qt.Key.Key_F5)
    settle(qtbot, picker)
    assert {"owner/new", "owner/here"} < set(names(picker))
    qtbot.keyClick(picker.view.filters.search, Qt.Key.Key_Escape)
    assert not picker.isVisible()


def test_the_menu_of_a_row(qtbot: QtBot, make_picker: MakePicker, hub: HubServer) -> None:
    add(hub, "owner/model")
    picker = make_picker()
    settle(qtbot, picker)
    picker.view.list.menu_requested.emit(QPoint(10, 10))
    (menu,) = [m for m in picker.view.findChildren(QWidget) if m.isVisible() and m.isWindow()]
    texts = [action.text() for action in menu.actions()]
    view = picker.view
    assert texts == [view.favourite.text(), view.check.text(), view.delete.text()]
    menu.close()
    assert view.check.isEnabled()  # for the bundled model
    select(picker, "owner/model")
    assert not view.check.isEnabled()


def test_every_control_has_a_name(qtbot: QtBot, make_picker: MakePicker) -> None:
    picker = make_picker()
    settle(qtbot, picker)
    reachable = [
        widget
        for widget in picker.view.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible()
    ]
    assert len(reachable) >= 12
    assert not [w for w in reachable if not w.accessibleName()]
