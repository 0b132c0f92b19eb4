"""The window of the downloads, for when no model is being chosen."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from playground.gui.downloads.panel import DownloadsPanel


class DownloadsWindow(QDialog):
    """The queue beside the main window; closing it changes nothing about the downloads."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Downloads")
        self.panel = DownloadsPanel()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(self.panel, 1)
        column.addWidget(buttons)
        self.resize(640, 360)
        buttons.button(QDialogButtonBox.StandardButton.Close).setFocus()
