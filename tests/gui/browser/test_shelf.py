"""What the model browser keeps: models that are here, folders, favourites, recent ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.core.settings import Settings, SettingsStore
from playground.gui.browser.model_list import Scope
from playground.gui.browser.text import badges
from playground.gui.context import AppContext
from playground.gui.models.picker import ModelPicker
from playground.hub.catalog import Where
from playground.hub.local.resolve import BUNDLED_NAME
from playground.hub.place import HubPlace
from tests.gui.browser.support import (
    COMMIT,
    FILES,
    MakePicker,
    add,
    entry,
    names,
    select,
    settle,
    weights,
)
from tests.gui.model_page.support import page_text
from tests.gui.support import LONG, MakeWindow
from tests.support.cached_model import put_snapshot
from tests.support.hub_server import HubServer
from tests.support.tiny_model import write_files

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


def test_deleting_asks_frees_and_updates(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer, home: Path
) -> None:
    cache = hub.cache(home)
    put_snapshot(cache, "owner/cached", COMMIT, FILES, "main")
    add(hub, "owner/cached")
    opened = write_files(home / "opened", FILES)
    picker = make_picker(recents=[ModelSpec(str(opened))], in_use=[ModelSpec("owner/cached")])
    settle(qtbot, picker)
    for name in (BUNDLED_NAME, "opened"):  # neither is the user's library
        select(picker, name)
        assert not picker.view.delete.isEnabled()
    select(picker, "owner/cached")
    picker.view.favourite.trigger()
    freed = sum(map(len, FILES.values()))
    for answer in ("Keep it", "Delete"):
        picker.view.list.setFocus()
        picker.view.delete.trigger()
        qtbot.waitUntil(lambda: picker.deletion.question is not None)
        box = picker.deletion.question
        assert isinstance(box, QMessageBox)
        assert f"{freed / 1e3:.0f} kB" in box.text()
        assert "A lane uses this model" in box.informativeText()
        assert isinstance(box.defaultButton(), QPushButton)
        assert box.defaultButton().text() == "&Keep it"
        buttons = {button.text().replace("&", ""): button for button in box.buttons()}
        qtbot.mouseClick(buttons[answer], Qt.MouseButton.LeftButton)
        assert (cache / "models--owner--cached").is_dir() or answer == "Delete"
    qtbot.waitUntil(lambda: names(picker, "On the Hub") == ["owner/cached"], timeout=LONG)
    assert not (cache / "models--owner--cached").exists()
    assert not entry(picker, "owner/cached").row.is_local
    scope = picker.view.filters.scope.button(Scope.FAVOURITES)
    qtbot.mouseClick(scope, Qt.MouseButton.LeftButton)
    assert entry(picker, "owner/cached").row.where is Where.HUB


def delete_current(qtbot: QtBot, picker: ModelPicker) -> None:
    picker.view.delete.trigger()
    qtbot.waitUntil(lambda: picker.deletion.question is not None)
    box = picker.deletion.question
    assert isinstance(box, QMessageBox)
    buttons = {button.text().replace("&", ""): button for button in box.buttons()}
    qtbot.mouseClick(buttons["Delete"], Qt.MouseButton.LeftButton)


def test_a_damaged_model_is_listed_with_its_remedy_and_can_be_deleted(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer, home: Path
) -> None:
    snapshot = put_snapshot(hub.cache(home), "owner/broken", COMMIT, FILES, "main")
    (snapshot / "model.safetensors").resolve().unlink()
    add(hub, "owner/broken")
    picker = make_picker()
    settle(qtbot, picker)
    assert names(picker).count("owner/broken") == 2  # the damaged one, and the Hub's
    select(picker, "owner/broken")
    assert "model.safetensors" in entry(picker, "owner/broken").row.problem
    qtbot.waitUntil(lambda: "Download it again" in page_text(picker.page), timeout=60_000)
    assert not picker.use_button.isEnabled()
    delete_current(qtbot, picker)
    qtbot.waitUntil(lambda: names(picker).count("owner/broken") == 1)
    assert names(picker, "On the Hub") == ["owner/broken"]
    assert not hub.cache(home).joinpath("models--owner--broken").exists()


@pytest.mark.parametrize(
    "spoilt",
    [
        {"config.json": b"[" * 5000},
        {"config.json": b'{"model_type": "llama", "num_hidden_layers": 1' + b"0" * 30 + b"}"},
        {"model.safetensors": b"\x88\x13\0\0\0\0\0\0" + b"[" * 5000},
        {"tokenizer.json": None},
    ],
    ids=["nested", "number", "header", "no tokenizer"],
)
def test_a_damaged_folder_is_shown_and_deleted(
    qtbot: QtBot, make_picker: MakePicker, home: Path, spoilt: dict[str, bytes | None]
) -> None:
    files = {name: data for name, data in (FILES | spoilt).items() if data is not None}
    write_files(home / "mine" / "broken", files)
    os.mkfifo(home / "mine" / "broken" / "special_tokens_map.json")
    picker = make_picker(folders=[str(home / "mine")])
    settle(qtbot, picker)
    select(picker, "broken")
    problem = entry(picker, "broken").row.problem
    assert problem
    qtbot.waitUntil(lambda: problem in page_text(picker.page))
    assert not picker.use_button.isEnabled()
    delete_current(qtbot, picker)
    qtbot.waitUntil(lambda: "broken" not in names(picker))
    assert not (home / "mine" / "broken").exists()
    assert any("broken was deleted" in label.text() for label in picker.findChildren(QLabel))


def test_model_folders_are_added_and_removed(
    qtbot: QtBot, make_picker: MakePicker, home: Path, context: AppContext
) -> None:
    write_files(home / "mine" / "model", FILES)
    picker = make_picker()
    settle(qtbot, picker)
    picker.ask_model_folder()
    dialog = picker.findChildren(QWidget, "QFileDialog")[0]
    dialog.fileSelected.emit(str(home / "mine"))  # type: ignore[attr-defined]
    dialog.done(0)  # type: ignore[attr-defined]
    assert context.settings.values.model_folders == (str(home / "mine"),)
    qtbot.waitUntil(lambda: "model" in names(picker, "On this machine"))
    picker.browser.go_to(ModelSpec(str(home / "mine" / "model")))  # it is listed already
    current = picker.browser.current()
    assert current is not None
    assert current.name == "model"
    (remove,) = [a for a in picker.view.folders.menu().actions() if a.data()]
    remove.trigger()
    assert context.settings.values.model_folders == ()
    qtbot.waitUntil(lambda: "model" not in names(picker))


def test_favourites_and_recents(qtbot: QtBot, make_picker: MakePicker, hub: HubServer) -> None:
    add(hub, "owner/marked", downloads=7, safetensors=weights(2e9))
    add(hub, "owner/used", downloads=5)
    add(hub, "owner/other", downloads=1)
    picker = make_picker(recents=[ModelSpec("owner/used")], favourites=[ModelSpec("gone/away")])
    settle(qtbot, picker)
    assert names(picker, "Recent") == ["owner/used"]
    select(picker, "owner/marked")
    with qtbot.waitSignal(picker.browser.favourites_changed) as changed:
        qtbot.keyClick(picker.view.list, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    assert changed.args == [(ModelSpec("owner/marked"), ModelSpec("gone/away"))]
    assert entry(picker, "owner/marked").favourite
    assert picker.view.favourite.text() == "Remove from &favourites"
    scope = picker.view.filters.scope
    qtbot.mouseClick(scope.button(Scope.FAVOURITES), Qt.MouseButton.LeftButton)
    settle(qtbot, picker)
    assert names(picker) == ["owner/marked", "gone/away"]
    assert entry(picker, "owner/marked").row.downloads == 7  # once told, it is known
    qtbot.mouseClick(scope.button(Scope.RECENT), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: entry(picker, "owner/used").row.downloads == 5)
    assert names(picker) == ["owner/used"]


def test_a_recent_folder_that_is_gone_says_so(
    qtbot: QtBot, make_picker: MakePicker, home: Path
) -> None:
    there = write_files(home / "there", FILES)
    recents = [ModelSpec(str(there)), *(ModelSpec(str(home / f"gone-{n}")) for n in range(5))]
    picker = make_picker(recents=recents)
    settle(qtbot, picker)
    assert names(picker, "Recent") == ["there", "gone-0", "gone-1", "gone-2"]
    assert names(picker, "On this machine") == [BUNDLED_NAME]  # the other two are not
    gone = entry(picker, "gone-0").row
    assert "no folder" in gone.problem
    assert badges(gone) == [("gone", "danger")]
    assert badges(entry(picker, "there").row) == [("here", "success")]
    assert picker.view.summary() == "2 here"


def test_favourites_are_kept_by_the_window(
    qtbot: QtBot, make_window: MakeWindow, hub: HubServer, home: Path, tmp_path: Path
) -> None:
    playground = make_window(
        settings=Settings(favourites=(ModelSpec("owner/old"),)),
        place=HubPlace(hub.endpoint, hub.cache(home)),
    )
    playground.window.actions.choose_model.trigger()
    (picker,) = playground.window.findChildren(ModelPicker)
    settle(qtbot, picker)
    select(picker, BUNDLED_NAME)
    picker.view.favourite.trigger()
    picker.reject()
    kept = SettingsStore(tmp_path / "settings.toml").values.favourites
    assert kept == (ModelSpec(), ModelSpec("owner/old"))
