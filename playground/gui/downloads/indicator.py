"""The button beside the menus that sums up the downloads; hidden while there are none."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QMenuBar, QToolButton, QWidget

from playground.gui.toolkit import theme


class DownloadIndicator(QToolButton):
    """Shows the summary beside an arrow; a click opens the downloads."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "flat")
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setIconSize(QSize(16, 16))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName("Downloads")
        self.setToolTip("Show the downloads (Ctrl+J)")
        theme.theme_changed.connect(self._tint)
        self._tint()
        self.hide()

    def show_summary(self, text: str) -> None:
        wider = len(text) != len(self.text())
        self.setText(text)
        self.setAccessibleName(f"Downloads: {text}")
        self.setVisible(bool(text))
        bar = self.parentWidget()
        if wider and isinstance(bar, QMenuBar):
            # A menu bar sizes its corner only when the widget is set.
            bar.setCornerWidget(self)
            self.setVisible(bool(text))

    def _tint(self) -> None:
        self.setIcon(theme.icon("download"))
