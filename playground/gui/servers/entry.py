"""Opens the dialog of the servers."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QWidget

from playground.gui.servers.controller import ServersController


class ServersEntry(QObject):
    """Imports and builds the dialog each time that it is opened."""

    def __init__(self, servers: ServersController, window: QWidget) -> None:
        super().__init__(window)
        self._servers = servers
        self._window = window

    @Slot()
    def open(self) -> None:
        """Show the dialog."""
        # Imported here: the window starts without it.
        from playground.gui.servers.dialog import ServersDialog

        self._servers.read_again()
        dialog = ServersDialog(self._servers, self._window)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
