"""Keeps new windows within the screen."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget

#: Pixels that a window's frame and title may take around it.
_FRAME = QSize(16, 40)


def open_at_size(window: QWidget, width: int, height: int) -> None:
    """Give a new window a size (pixels), or what the screen has room for."""
    room = window.screen().availableSize() - _FRAME
    window.resize(QSize(width, height).boundedTo(room))
