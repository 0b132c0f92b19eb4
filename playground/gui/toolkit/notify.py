"""Carries messages to the user: constructors receive a `Notify` and call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QObject, Signal

from playground.core.errors import PlaygroundError

Level = Literal["info", "warning", "error"]


class Notify(QObject):
    """Passes messages on to whatever shows them: the window's message bar, or a test."""

    message = Signal(str, str, str)  # text, Level, remedy
    outdated = Signal(str)  # the text of a message that no longer holds
    offered = Signal(str, str, object)  # text, the action's label, what it does

    def offer(self, text: str, label: str, do: Callable[[], None]) -> None:
        """Report something with a button that acts on it, such as Undo or Show.

        The message stays until it is dismissed, replaced or acted on. `do` is called at most once.
        """
        self.offered.emit(text, label, do)

    def info(self, text: str, remedy: str = "") -> None:
        """Report what has happened; the message disappears by itself."""
        self.message.emit(text, "info", remedy)

    def warning(self, error: PlaygroundError) -> None:
        """Report what could not be done; the message stays until it is dismissed."""
        self.message.emit(error.message, "warning", error.remedy)

    def error(self, error: PlaygroundError) -> None:
        """Report what has failed; the message stays until it is dismissed."""
        self.message.emit(error.message, "error", error.remedy)

    def withdraw(self, error: PlaygroundError) -> None:
        """Remove a warning or an error that no longer holds, if it is still shown."""
        self.outdated.emit(error.message)
