"""What can be done in the browser while the Hub gives no answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.gui.models.picker import ModelPicker
from tests.gui.browser.support import (
    COMMIT,
    FILES,
    MakePicker,
    add,
    names,
    select,
    settle,
)
from tests.support.cached_model import put_snapshot
from tests.support.hub_server import Fault, HubServer


@pytest.fixture
def picker(make_picker: MakePicker, hub: HubServer, home: Path) -> ModelPicker:
    """A browser with two models of this machine, and names that only the Hub knows."""
    put_snapshot(hub.cache(home), "own/model", COMMIT, FILES, ref="main")
    put_snapshot(hub.cache(home), "own/other", "d" * 40, FILES, ref="main")
    add(hub, "own/mod")
    hub.add_fault(Fault("GET", after=0))
    only_named = (ModelSpec("own/gone"),)
    return make_picker(recents=only_named, favourites=only_named)


def test_models_of_this_machine_can_be_used_at_once(qtbot: QtBot, picker: ModelPicker) -> None:
    qtbot.waitUntil(lambda: {"own/model", "own/other"} <= set(names(picker)))
    qtbot.waitUntil(lambda: picker.spec is not None)
    select(picker, "own/other")
    qtbot.waitUntil(lambda: picker.spec == ModelSpec("own/other"))
    # Something that looks like an id of the Hub is typed.
    qtbot.keyClicks(picker.view.filters.search, "own/mod")
    qtbot.waitUntil(lambda: names(picker) == ["own/model"])
    qtbot.waitUntil(lambda: picker.spec == ModelSpec("own/model"))
    assert not picker.browser.settled
    qtbot.mouseClick(picker.use_button, Qt.MouseButton.LeftButton)
    assert not picker.isVisible()


def test_what_was_typed_becomes_current_when_the_hub_answers(
    qtbot: QtBot, picker: ModelPicker, hub: HubServer
) -> None:
    qtbot.waitUntil(lambda: "own/model" in names(picker))
    qtbot.keyClicks(picker.view.filters.search, "own/mod")
    qtbot.waitUntil(lambda: picker.spec == ModelSpec("own/model"))
    for fault in hub.faults:
        fault.release.set()
    settle(qtbot, picker)
    row = picker.browser.current()
    assert row is not None
    assert row.spec == ModelSpec("own/mod")
