"""The help dialogs: every figure with its formula, the shortcuts, and the versions."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import pyqtgraph
import PySide6
from PySide6.QtCore import Qt, qVersion
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QVBoxLayout,
    QWidget,
)

import playground
from playground.core.trace import FORMULAS
from playground.gui.toolkit.screen import open_at_size
from playground.gui.toolkit.text_table import RowsTable
from playground.gui.toolkit.widgets import plain_label

_FIGURES = (
    "Every time is taken in the engine, after the device has finished the token. Loading and "
    "warming up are timed separately and are not part of any figure. Lanes that ran together "
    "shared the device: their timings are not comparable, and their stamps say so."
)
_MORE = {
    "peak memory": "the most the engine used while generating: device memory on CUDA, else the "
    "process's resident memory",
    "badge": "the precision counted in the loaded model (layers by kind, bytes by type); red where "
    "it is not the one requested",
    "diamond in the plot": "the TTFT of the lane; an arrow where it lies above the visible part",
    "dotted line in the plot": "the floor of each lane; it rises as the KV cache grows",
    "horizontal lines in the plot": "p50 (stronger) and p95 (fainter) of each lane",
}


class ListDialog(QDialog):
    """A text over a list of two columns; deleted when it is closed."""

    def __init__(
        self, title: str, text: str, rows: Sequence[tuple[str, str]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        open_at_size(self, 880, 560)
        head = plain_label(text, wrap=True)
        self.list = RowsTable(title, ("Name", "Explanation"), wrap=True, stretch=1)
        self.list.horizontalHeader().hide()
        self.list.rows.set_rows(rows)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(head)
        column.addWidget(self.list, 1)
        column.addWidget(buttons)


def figures_help(parent: QWidget | None = None) -> ListDialog:
    """Make the dialog on what each figure means and how it is timed."""
    rows = [*FORMULAS.items(), *_MORE.items()]
    return ListDialog("What the figures mean", _FIGURES, rows, parent)


def keys_help(actions: Sequence[QAction], parent: QWidget | None = None) -> ListDialog:
    """Make the dialog with every command that has a shortcut."""
    rows = [
        (
            action.shortcut().toString(QKeySequence.SequenceFormat.NativeText),
            f"{action.text().replace('&', '').rstrip('…')}: {action.statusTip()}",
        )
        for action in actions
        if not action.shortcut().isEmpty()
    ]
    rows += [
        (
            "Left, Right",
            "In the plot: read the values at a token; with Shift ten tokens at a time",
        ),
        ("+, -, 0", "In the plot: zoom in, zoom out, show everything"),
        ("Ctrl+C", "In a text: copy the selection; in the table: copy the cells"),
    ]
    text = "The command palette finds every command by its name."
    return ListDialog("Keyboard shortcuts", text, rows, parent)


def about(parent: QWidget | None = None) -> ListDialog:
    """Make the dialog with the libraries' versions and the licences of what is shipped."""
    rows = [
        ("Playground", f"{playground.__version__}, MIT licence"),
        ("Python", platform.python_version()),
        ("Qt, PySide6", f"{qVersion()}, {PySide6.__version__} (LGPL 3)"),
        ("pyqtgraph", f"{pyqtgraph.__version__} (MIT)"),
        ("Inter, JetBrains Mono", "fonts under the SIL Open Font License 1.1"),
    ]
    text = "Load a language model in several precisions side by side, and see which one to use."
    return ListDialog("About the playground", text, rows, parent)
