"""What the tests of the model browser share: reading its list, and waiting for it."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from playground.gui.browser_rows import Entry, Heading
from playground.gui.model_picker import ModelPicker


def names(picker: ModelPicker, heading: str = "") -> list[str]:
    """The models listed, or those below one heading."""
    found, below = [], ""
    for line in picker.view.list.rows.lines():
        if isinstance(line, Heading):
            below = line.text
        elif not heading or heading == below:
            found.append(line.row.name)
    return found


def entry(picker: ModelPicker, name: str) -> Entry:
    """What the list shows of a model."""
    lines = picker.view.list.rows.lines()
    return next(x for x in lines if isinstance(x, Entry) and x.row.name == name)


def select(picker: ModelPicker, name: str) -> None:
    """Make a model the current one."""
    model = picker.view.list.rows
    for row, line in enumerate(model.lines()):
        if isinstance(line, Entry) and line.row.name == name:
            picker.view.list.setCurrentIndex(model.index(row))
            return
    raise AssertionError(f"{name} is not listed")


def settle(qtbot: QtBot, picker: ModelPicker) -> None:
    """Wait until nothing is being asked or read."""
    qtbot.waitUntil(lambda: picker.browser.settled, timeout=60_000)
