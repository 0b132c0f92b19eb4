"""A row of joined buttons of which exactly one is on."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QPushButton, QSizePolicy, QWidget


class Segments(QWidget):
    """Offers choices side by side; the arrow keys move between them."""

    chosen = Signal(str)

    def __init__(
        self, name: str, choices: Sequence[tuple[str, str, str]], parent: QWidget | None = None
    ) -> None:
        """`choices` are (value, text with mnemonic, tool tip)."""
        super().__init__(parent)
        self.setAccessibleName(name)
        self._group = QButtonGroup(self)
        self._buttons: dict[str, QPushButton] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        for position, (value, text, tip) in enumerate(choices):
            button = QPushButton(text)
            button.setCheckable(True)
            button.setProperty("kind", "segment")
            if position in (0, len(choices) - 1):
                button.setProperty("place", "first" if position == 0 else "last")
            button.setToolTip(tip)
            button.setAccessibleName(f"{name}: {text.replace('&', '')}")
            button.setAccessibleDescription(tip)
            self._group.addButton(button)
            self._buttons[value] = button
            row.addWidget(button, 1)
        next(iter(self._buttons.values())).setChecked(True)
        self._group.buttonClicked.connect(self._clicked)

    def value(self) -> str:
        return next(value for value, button in self._buttons.items() if button.isChecked())

    def set_value(self, value: str) -> None:
        """Choose without emitting `chosen`."""
        if value in self._buttons:
            self._buttons[value].setChecked(True)

    def set_available(self, value: str, ok: bool, reason: str) -> None:
        """Enable or disable a choice; the tool tip gives the reason."""
        button = self._buttons[value]
        button.setEnabled(ok)
        button.setToolTip(reason)
        button.setAccessibleDescription(reason)

    def button(self, value: str) -> QPushButton:
        return self._buttons[value]

    def _clicked(self) -> None:
        self.chosen.emit(self.value())
