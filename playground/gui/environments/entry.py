"""Opens the dialog of the engine environments, which few users ever need."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QWidget

from playground.gui.environments.controller import EnvironmentsController


class EnvironmentsEntry(QObject):
    """Imports and builds the dialog each time that it is opened."""

    def __init__(self, environments: EnvironmentsController, window: QWidget) -> None:
        super().__init__(window)
        self._environments = environments
        self._window = window

    @Slot()
    def open(self) -> None:
        """Show the dialog."""
        # Imported here: the window starts without it.
        from playground.gui.environments.dialog import EnvironmentsDialog

        self._environments.read_again()
        dialog = EnvironmentsDialog(self._environments, self._window)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
