"""Drags things over a window and drops them, through Qt's own dispatch to the widget below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QWidget

COPY_OR_MOVE = Qt.DropAction.CopyAction | Qt.DropAction.MoveAction
#: Asks a target to move.
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_LEFT = Qt.MouseButton.LeftButton


def files(paths: Sequence[Path]) -> QMimeData:
    """Return what a file manager drags."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    data.setText("\n".join(path.as_uri() for path in paths))
    return data


def words(text: str) -> QMimeData:
    """Return what a text field drags."""
    data = QMimeData()
    data.setText(text)
    return data


def drag(
    data: QMimeData,
    over: QWidget,
    actions: Qt.DropAction = COPY_OR_MOVE,
    at: QPoint | None = None,
) -> QDragMoveEvent:
    """Drag from outside the window to a widget's middle (or `at`), as with Shift held down."""
    handle, position = _place(over, at)
    enter = QDragEnterEvent(position, actions, data, _LEFT, _SHIFT)
    QCoreApplication.sendEvent(handle, enter)
    move = QDragMoveEvent(position, actions, data, _LEFT, _SHIFT)
    move.setAccepted(False)
    QCoreApplication.sendEvent(handle, move)
    return move


def leave(over: QWidget) -> None:
    """Drag away what is over a widget."""
    handle, _ = _place(over, None)
    QCoreApplication.sendEvent(handle, QDragLeaveEvent())


def drop(
    data: QMimeData,
    over: QWidget,
    actions: Qt.DropAction = COPY_OR_MOVE,
    at: QPoint | None = None,
) -> Qt.DropAction:
    """Drag to a widget and let go; return what the source is told was done with its data."""
    if not drag(data, over, actions, at).isAccepted():
        leave(over)  # the system drops nothing where the cursor says so
        return Qt.DropAction.IgnoreAction
    handle, position = _place(over, at)
    event = QDropEvent(position.toPointF(), actions, data, _LEFT, _SHIFT)
    event.setAccepted(False)
    QCoreApplication.sendEvent(handle, event)
    return event.dropAction() if event.isAccepted() else Qt.DropAction.IgnoreAction


def _place(over: QWidget, at: QPoint | None) -> tuple[object, QPoint]:
    assert over.isVisible()
    window = over.window()
    return window.windowHandle(), over.mapTo(window, at or over.rect().center())
