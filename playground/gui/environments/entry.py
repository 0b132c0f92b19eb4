"""Opens the dialog of the engine environments."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QWidget

from playground.gui.environments.controller import EnvironmentsController


class EnvironmentsEntry(QObject):
    """Where menus lead to the dialog, which is built when it is first asked for."""

    def __init__(self, environments: EnvironmentsController, window: QWidget) -> None:
        super().__init__(window)
        self._environments = environments
        self._window = window

    @Slot()
    def open(self) -> None:
        """Show the dialog."""
        # Imported here: few users ever open it, and the window starts without it.
        from playground.gui.environments.dialog import EnvironmentsDialog

        self._environments.read_again()
        dialog = EnvironmentsDialog(self._environments, self._window)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
