"""What the tests of the model browser share: reading its list, and waiting for it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from playground.gui.browser.list_model import LINE
from playground.gui.browser.model_list import Entry, Heading, Line
from playground.gui.browser.notice_view import NoticeView
from playground.gui.browser.notices import Notice
from playground.gui.models.picker import ModelPicker
from tests.support.hub_server import HubServer, Repository
from tests.support.tiny_model import tiny_model_files

FILES = tiny_model_files()
COMMIT = "c" * 40
MakePicker = Callable[..., ModelPicker]


def lines(picker: ModelPicker) -> list[Line]:
    """The rows and headings of the list."""
    rows = picker.view.list.rows
    return [rows.index(row).data(LINE) for row in range(rows.rowCount())]


def notice_view(picker: ModelPicker) -> NoticeView | None:
    """The notice in place of the list or below it, None without one."""
    views = picker.view.findChildren(NoticeView)
    return next((v for v in views if v.isVisible() and v.shown.text), None)


def notice(picker: ModelPicker) -> Notice:
    """The notice about the list."""
    view = notice_view(picker)
    return view.shown if view is not None else Notice()


def click_notice(qtbot: QtBot, picker: ModelPicker) -> None:
    """Press the notice's button."""
    view = notice_view(picker)
    assert view is not None
    qtbot.mouseClick(view.button, Qt.MouseButton.LeftButton)


def names(picker: ModelPicker, heading: str = "") -> list[str]:
    """The models listed, or those below one heading."""
    found, below = [], ""
    for line in lines(picker):
        if isinstance(line, Heading):
            below = line.text
        elif not heading or heading == below:
            found.append(line.row.name)
    return found


def entry(picker: ModelPicker, name: str) -> Entry:
    """What the list shows of a model."""
    return next(x for x in lines(picker) if isinstance(x, Entry) and x.row.name == name)


def select(picker: ModelPicker, name: str) -> None:
    """Make a model the current one."""
    model = picker.view.list.rows
    for row, line in enumerate(lines(picker)):
        if isinstance(line, Entry) and line.row.name == name:
            picker.view.list.setCurrentIndex(model.index(row))
            return
    raise AssertionError(f"{name} is not listed")


def settle(qtbot: QtBot, picker: ModelPicker) -> None:
    """Wait until nothing is being asked or read."""
    qtbot.waitUntil(lambda: picker.browser.settled, timeout=60_000)


def add(hub: HubServer, id_: str, *tags: str, gated: str | bool = False, **facts: object) -> None:
    """Put a model into the Hub."""
    known = {"pipeline_tag": "text-generation", **facts}
    hub.add(Repository(id_, FILES, tags=tags, gated=gated, facts=known))


def weights(count: float) -> dict[str, object]:
    """The Hub's facts about `count` parameters in bf16."""
    return {"parameters": {"BF16": round(count)}, "total": round(count)}


def lists(hub: HubServer) -> list[str]:
    """The requests for lists that arrived."""
    asked = [request for request in hub.requests if request.startswith("GET /api/models?")]
    return [request for request in asked if "base_model" not in request]  # a page's, those


def choose(combo: object, data: object) -> None:
    """Make the entry with this data the current one."""
    found = combo.findData(data)  # type: ignore[attr-defined]
    assert found >= 0
    combo.setCurrentIndex(found)  # type: ignore[attr-defined]
