"""Asks the user before something is lost."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QAbstractButton, QMessageBox, QWidget

from playground.gui.toolkit.widgets import plain_tip


class Question(QMessageBox):
    """Asks whether to do something. Show it with `open()`: it does not block, and deletes itself.

    `answered` carries True for doing it. Not doing it is the default, and the meaning of Escape.
    """

    answered = Signal(bool)

    def __init__(
        self, parent: QWidget, title: str, text: str, detail: str, *, do: str, keep: str
    ) -> None:
        """`do` and `keep` label the buttons; the texts are shown literally."""
        super().__init__(parent)
        self.setIcon(QMessageBox.Icon.Question)
        self.setWindowTitle(title)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)
        self.setInformativeText(plain_tip(detail))  # Qt guesses the format of this text
        self.addButton(do, QMessageBox.ButtonRole.DestructiveRole)
        other = self.addButton(keep, QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(other)
        self.setEscapeButton(other)
        self.buttonClicked.connect(self._clicked)
        self.finished.connect(self.deleteLater)

    @Slot(QAbstractButton)
    def _clicked(self, button: QAbstractButton) -> None:
        self.answered.emit(self.buttonRole(button) == QMessageBox.ButtonRole.DestructiveRole)
