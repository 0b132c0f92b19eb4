"""Makes the dialogs that ask for a file or a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

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


def save_dialog(
    parent: QWidget,
    title: str,
    name: str,
    formats: Mapping[str, str],
    chosen: Callable[[Path, str], None],
) -> QFileDialog:
    """Make a dialog that calls `chosen` with the path to write and the chosen format's suffix.

    `formats` are names of file formats by their suffixes, `name` is the file's suggestion.
    """
    dialog = QFileDialog(parent, title)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    filters = {f"{label} (*{suffix})": suffix for suffix, label in formats.items()}
    dialog.setNameFilters(list(filters))
    dialog.setDefaultSuffix(next(iter(formats)))
    dialog.selectFile(name)

    def take(path: str) -> None:
        suffix = Path(path).suffix.lower()
        chosen(Path(path), suffix if suffix in formats else filters[dialog.selectedNameFilter()])

    dialog.filterSelected.connect(lambda text: dialog.setDefaultSuffix(filters[text]))
    dialog.fileSelected.connect(take)
    dialog.finished.connect(dialog.deleteLater)
    return dialog
