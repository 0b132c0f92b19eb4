"""Makes the labels, buttons, combo boxes and layouts that the views share."""

from __future__ import annotations

import html
from collections.abc import Sequence

from PySide6.QtCore import QMimeData, QSize, Qt
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
)
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QAbstractSpinBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from playground.gui.toolkit import theme
from playground.gui.toolkit.fields import SpinBox


def set_kind(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet selects by, and restyle the widget."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def plain_tip(text: str) -> str:
    """Return a tool tip that shows `text` literally, even where it looks like HTML to Qt."""
    if "<" not in text:
        return text
    return f"<span>{html.escape(text)}</span>".replace("\n", "<br>")


def set_name(control: QWidget, name: str) -> None:
    """Give a control and its focusable parts an accessible name.

    Qt leaves the line edit of a spin box, the list of a combo box and a viewport without one.
    """
    parts: list[QWidget] = [control, *control.findChildren(QLineEdit)]
    if isinstance(control, QComboBox):
        parts.append(control.view())
    elif isinstance(control, QAbstractScrollArea):
        parts.append(control.viewport())
    for part in parts:
        part.setAccessibleName(name)


def announce(widget: QWidget, text: str) -> None:
    """Have a screen reader speak `text`."""
    if QAccessible.isActive():
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(widget, text))


def only_text(data: QMimeData, text: str) -> QMimeData:
    """Replace the contents of `data`, an object that Qt created, by `text`.

    The clipboard outlives the interpreter, and deleting an object created in Python crashes
    then. Only objects created by Qt may be put there.
    """
    data.text()  # Qt fills `data` on first access, and would overwrite what was set before
    data.clear()
    data.setText(text)
    return data


def push_button(text: str, tip: str = "", *, kind: str = "") -> QPushButton:
    """Make a button that Enter does not press; `kind` is the style sheet's (primary, danger…)."""
    button = QPushButton(text)
    button.setAutoDefault(False)
    button.setToolTip(tip)
    if kind:
        button.setProperty("kind", kind)
    return button


def tool_button(icon: str, name: str, tip: str = "") -> ThemedToolButton:
    """Make a flat button with an icon only; `name` is what a screen reader says."""
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


def fill_combo(
    combo: QComboBox, name: str, choices: Sequence[tuple[str, object]], tip: str = ""
) -> None:
    """Name a combo box and fill it with (text, data) pairs; the tip defaults to the name."""
    for text, value in choices:
        combo.addItem(text, value)
    set_name(combo, name)
    combo.setToolTip(tip or name)


def spin_box(name: str, tip: str, allowed: tuple[int, int], step: int) -> SpinBox:
    """Make a named field for a whole number within `allowed`, both ends included."""
    spin = SpinBox()
    spin.setRange(*allowed)
    spin.setSingleStep(step)
    set_name(spin, name)
    spin.setToolTip(tip)
    indent_text(spin)
    return spin


def indent_text(spin: QAbstractSpinBox) -> None:
    """Indent a field's text: Qt ignores the style sheet's padding here."""
    spin.lineEdit().setTextMargins(5, 0, 0, 0)


def wrapping_policy() -> QSizePolicy:
    """Return the policy of a wrapped label that takes the width offered and the height needed."""
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    policy.setHeightForWidth(True)
    return policy


def plain_label(text: str = "", tone: str = "", *, wrap: bool = False) -> QLabel:
    """Make a label that shows its text literally; `tone` is the style sheet's."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(wrap)
    if tone:
        label.setProperty("tone", tone)
    return label


def muted_label(text: str, *, wrap: bool = False) -> QLabel:
    """Make a plain label in the muted colour."""
    return plain_label(text, "muted", wrap=wrap)


def message_label(tone: str = "") -> QLabel:
    """Make a plain label for sentences: wrapped at any width, and selectable with the mouse."""
    label = plain_label("", tone, wrap=True)
    # A path without spaces must not force the window to its width.
    label.setSizePolicy(wrapping_policy())
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def label_for(text: str, control: QWidget) -> QLabel:
    """Make the label of a control; its mnemonic focuses the control."""
    label = QLabel(text)
    label.setBuddy(control)
    return label


def v_box(parent: QWidget | None = None, *, margin: int = 0, spacing: int = 8) -> QVBoxLayout:
    """Make a column of widgets; pixels of margin around it and of spacing between them."""
    box = QVBoxLayout(parent) if parent is not None else QVBoxLayout()
    box.setContentsMargins(margin, margin, margin, margin)
    box.setSpacing(spacing)
    return box


def h_box(*items: QWidget | QLayout, spacing: int = 8) -> QHBoxLayout:
    """Make a row of widgets and layouts; pixels of spacing between them."""
    box = QHBoxLayout()
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(spacing)
    for item in items:
        if isinstance(item, QLayout):
            box.addLayout(item)
        else:
            box.addWidget(item)
    return box
