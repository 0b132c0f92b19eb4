"""Makes the dialogs that ask for a file or a folder."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QFileDialog, QWidget


def folder_dialog(
    parent: QWidget, title: str, chosen: Callable[[str], None], start: str = ""
) -> QFileDialog:
    """Make a dialog that calls `chosen` with a folder's path; `open()` shows it."""
    dialog = file_dialog(parent, title, chosen, start)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    return dialog


def file_dialog(
    parent: QWidget, title: str, chosen: Callable[[str], None], start: str = ""
) -> QFileDialog:
    """Make a dialog that calls `chosen` with the path of an existing file; `open()` shows it."""
    dialog = QFileDialog(parent, title, start)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.fileSelected.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    return dialog
