"""A question before something is lost."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QAbstractButton, QMessageBox, QWidget

from playground.gui.toolkit.widgets import plain_tip


class Question(QMessageBox):
    """Asks whether to do it; shown with `open()`, it does not block, and goes by itself.

    `answered` carries True for doing it. Leaving things as they are is the default, and what
    Escape means.
    """

    answered = Signal(bool)

    def __init__(
        self, parent: QWidget, title: str, text: str, detail: str, *, do: str, keep: str
    ) -> None:
        """`do` and `keep` label the buttons; the texts are shown as they stand."""
        super().__init__(parent)
        self.setIcon(QMessageBox.Icon.Question)
        self.setWindowTitle(title)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)
        self.setInformativeText(plain_tip(detail))  # of this text Qt guesses the format
        self.addButton(do, QMessageBox.ButtonRole.DestructiveRole)
        other = self.addButton(keep, QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(other)
        self.setEscapeButton(other)
        self.buttonClicked.connect(self._clicked)
        self.finished.connect(self.deleteLater)

    @Slot(QAbstractButton)
    def _clicked(self, button: QAbstractButton) -> None:
        self.answered.emit(self.buttonRole(button) == QMessageBox.ButtonRole.DestructiveRole)
