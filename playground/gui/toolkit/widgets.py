"""Small widgets that the views share: elided texts, segments, swatches and a thin bar."""

from __future__ import annotations

import html

from PySide6.QtCore import QMimeData, QSize, Qt
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
)
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QComboBox,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from playground.gui.toolkit import theme


def set_kind(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet looks at, and take the new style on."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def plain_tip(text: str) -> str:
    """A tool tip that shows `text` as it is: Qt would take what looks like HTML for it."""
    if "<" not in text:
        return text
    return f"<span>{html.escape(text)}</span>".replace("\n", "<br>")


def set_name(control: QWidget, name: str) -> None:
    """Give a control its accessible name, and so its parts that can have the focus: Qt leaves
    the line of a spin box, the list of a combo box and a viewport without one."""
    parts: list[QWidget] = [control, *control.findChildren(QLineEdit)]
    if isinstance(control, QComboBox):
        parts.append(control.view())
    elif isinstance(control, QAbstractScrollArea):
        parts.append(control.viewport())
    for part in parts:
        part.setAccessibleName(name)


def announce(widget: QWidget, text: str) -> None:
    """Let a screen reader say `text`."""
    if QAccessible.isActive():
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(widget, text))


def only_text(data: QMimeData, text: str) -> QMimeData:
    """Put `text` in the place of everything in Qt's own `data`.

    The clipboard keeps it beyond the interpreter's end, where deleting an object that was made
    in Python crashes: so it has to be one that Qt made.
    """
    data.text()  # Qt fills it at the first look, and would overwrite what was set before
    data.clear()
    data.setText(text)
    return data


def tool_button(icon: str, name: str, tip: str = "") -> ThemedToolButton:
    """A flat button with an icon only; `name` is what a screen reader says."""
    button = ThemedToolButton(icon)
    button.setAccessibleName(name)
    button.setToolTip(tip or name)
    return button


class ThemedToolButton(QToolButton):
    """A flat icon button whose icon follows the theme."""

    def __init__(self, icon: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon_name = icon
        self.setProperty("kind", "flat")
        self.setIconSize(QSize(16, 16))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        theme.theme_changed.connect(self._tint)
        self._tint()

    def set_icon_name(self, icon: str) -> None:
        if icon != self._icon_name:
            self._icon_name = icon
            self._tint()

    def _tint(self) -> None:
        self.setIcon(theme.icon(self._icon_name))


def wrapping_policy() -> QSizePolicy:
    """For a wrapped label that takes the width it gets, and the height it then needs."""
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    policy.setHeightForWidth(True)
    return policy


def muted_label(text: str, *, wrap: bool = False) -> QLabel:
    """A plain label of lesser weight."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setProperty("tone", "muted")
    label.setWordWrap(wrap)
    return label
