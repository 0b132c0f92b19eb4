"""What is dropped on the window: files and folders, which are always copied and never moved."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QDropEvent


def local_paths(data: QMimeData) -> list[Path]:
    """Return the local files and folders of a drop or of the clipboard."""
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]


def local_folders(data: QMimeData) -> list[Path]:
    """Return the local folders, and those of the local files, each once."""
    folders = (path if path.is_dir() else path.parent for path in local_paths(data))
    return list(dict.fromkeys(folders))


def can_copy(event: QDropEvent) -> bool:
    """Return whether the source of what is dragged lets it be copied."""
    return bool(event.possibleActions() & Qt.DropAction.CopyAction)


def accept_copy(event: QDropEvent) -> None:
    """Accept what is dragged or dropped as a copy: after a move, a file manager would delete it.

    A source that only offers to move is refused.
    """
    if can_copy(event):
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
    else:
        event.ignore()
