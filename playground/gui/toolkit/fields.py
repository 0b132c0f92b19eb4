"""Combo boxes and number fields that no slip of the hand changes.

The mouse wheel scrolls what is around them. The window uses no others.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QWheelEvent
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QSpinBox

_KEY = Qt.Key
_MOVING = (
    _KEY.Key_Up,
    _KEY.Key_Down,
    _KEY.Key_PageUp,
    _KEY.Key_PageDown,
    _KEY.Key_Home,
    _KEY.Key_End,
)
_COMMAND = (
    Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.MetaModifier
)


class ComboBox(QComboBox):
    """A combo box whose choice changes only in its open list, with Enter or a click.

    The arrow keys and letters open the list; Escape closes it and changes nothing.
    """

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        letter = event.text().strip()
        if event.key() in _MOVING:
            self.showPopup()
        elif letter and letter.isprintable() and not event.modifiers() & _COMMAND:
            self.showPopup()
            self.view().keyboardSearch(letter)
        else:
            super().keyPressEvent(event)


class SpinBox(QSpinBox):
    """A field for a whole number."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class DoubleSpinBox(QDoubleSpinBox):
    """A field for a number with decimals."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()
