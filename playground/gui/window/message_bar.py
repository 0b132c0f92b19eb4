"""The bar that shows messages to the user: not modal, replaceable, dismissable."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QWidget

from playground.gui.toolkit import theme
from playground.gui.toolkit.notify import Level
from playground.gui.toolkit.widgets import (
    announce,
    push_button,
    set_kind,
    tool_button,
    wrapping_policy,
)

_ICONS = {"info": "info", "warning": "warning", "error": "error"}
_ROLES = {"info": "accent", "warning": "warning", "error": "danger"}
_INFO_MS = 8_000


class MessageBar(QFrame):
    """Shows the latest message; an info disappears by itself, others stay until dismissed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("message")
        self._level: Level = "info"
        self._message = ""  # without its remedy
        self._icon = QLabel()
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(wrapping_policy())
        self.action_button = push_button("Show")  # each message gives its own word
        self.action_button.clicked.connect(self._act)
        self.action_button.hide()
        self._do: Callable[[], None] | None = None  # what the action does
        self.close_button = tool_button("close", "Dismiss the message")
        self.close_button.clicked.connect(self.dismiss)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 4, 4)
        row.setSpacing(8)
        row.addWidget(self._icon)
        row.addWidget(self._text, 1)
        row.addWidget(self.action_button)
        row.addWidget(self.close_button)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_INFO_MS)
        self._timer.timeout.connect(self.dismiss)
        theme.theme_changed.connect(self._tint)
        self._tint()
        self.hide()

    def show_message(self, text: str, level: Level = "info", remedy: str = "") -> None:
        """Show `text` followed by `remedy` instead of the message before."""
        self._do = None
        self.action_button.hide()
        whole = f"{text} {remedy}".strip()
        self._level, self._message = level, text
        self._text.setText(whole)
        self.setAccessibleName(f"{level}: {whole}")
        set_kind(self, "level", level)
        self._tint()
        self.show()
        announce(self, whole)
        if level == "info":
            self._timer.start()
        else:
            self._timer.stop()

    def offer(self, text: str, label: str, do: Callable[[], None]) -> None:
        """Show `text` with a button that calls `do`, until it is dismissed."""
        self.show_message(text, "info")
        self._timer.stop()
        self._do = do
        self.action_button.setText(label)
        self.action_button.show()

    def text(self) -> str:
        """Return the message shown, "" without one."""
        return "" if self.isHidden() else self._text.text()

    def level(self) -> Level:
        return self._level

    def withdraw(self, text: str) -> None:
        """Dismiss the message with this text, if it is the one shown."""
        if text == self._message:
            self.dismiss()

    def dismiss(self) -> None:
        self._timer.stop()
        self.hide()

    @Slot()
    def _act(self) -> None:
        do, self._do = self._do, None
        self.dismiss()
        if do is not None:
            do()

    def _tint(self) -> None:
        self._icon.setPixmap(theme.pixmap(_ICONS[self._level], 16, _ROLES[self._level]))
