"""The dialog in which a model's own Python code is looked at, and allowed to run."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from playground.core.model.remote_code import RemoteCode
from playground.gui.toolkit import theme
from playground.gui.toolkit.widgets import muted_label

_WARNING = (
    "This code would run on this machine with all your rights: it can read, change and send "
    "whatever you can. Allow it only if you trust whoever wrote it, or have read it."
)
_PLAIN = Qt.TextFormat.PlainText
_SELECTABLE = Qt.TextInteractionFlag.TextSelectableByMouse


class RemoteCodeDialog(QDialog):
    """Shows every file as it is; `allowed` comes when the user agrees to this version."""

    allowed = Signal()

    def __init__(
        self,
        model: str,
        commit: str,
        code: RemoteCode,
        earlier: str = "",
        refusal: str = "",
        parent: QWidget | None = None,
    ) -> None:
        """`earlier` is another commit that was agreed to; `refusal` why it can't be allowed."""
        super().__init__(parent)
        self.setWindowTitle("Review the model's own code")
        self.resize(920, 600)
        self._code = code
        head = QLabel(f"{model} brings Python code of its own")
        head.setProperty("tone", "heading")
        self.version = muted_label(f"Version: {commit}", wrap=True)
        self.warning = QLabel(refusal or _WARNING)
        self.warning.setProperty("tone", "danger" if refusal else "warning")
        for label in (head, self.warning, self.version):
            label.setTextFormat(_PLAIN)
            label.setWordWrap(True)
            label.setTextInteractionFlags(_SELECTABLE)
        self.changed = QLabel(f"You agreed to another version before, {earlier}; this one differs.")
        self.changed.setTextFormat(_PLAIN)
        self.changed.setProperty("tone", "danger")
        self.changed.setWordWrap(True)
        self.changed.setVisible(bool(earlier))

        self.files = QListWidget()
        self.files.setAccessibleName("Files of code")
        for file in code.files:
            lines = file.text.count("\n") + 1
            self.files.addItem(f"{file.name}  ({lines} lines)")
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setProperty("kind", "input")
        self.text.setFont(theme.mono_font())
        self.text.setAccessibleName("Text of the file")
        self.files.currentRowChanged.connect(self._show_file)
        halves = QSplitter()
        halves.setChildrenCollapsible(False)
        halves.setHandleWidth(12)
        halves.addWidget(self.files)
        halves.addWidget(self.text)
        halves.setSizes([230, 640])

        self.allow_button = QPushButton("&Allow for this commit")
        self.allow_button.setProperty("kind", "danger")
        self.allow_button.setAutoDefault(False)
        self.allow_button.setEnabled(not refusal)
        self.allow_button.setToolTip("Remembered for this version only; see the settings")
        self.allow_button.clicked.connect(self._allow)
        close = QPushButton("Do &not run it")
        close.setDefault(True)
        close.clicked.connect(self.reject)
        below = QHBoxLayout()
        below.setSpacing(8)
        below.addStretch(1)
        below.addWidget(self.allow_button)
        below.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(8)
        for widget in (head, self.version, self.changed, self.warning):
            column.addWidget(widget)
        column.addWidget(halves, 1)
        column.addLayout(below)
        self.files.setCurrentRow(0)
        if not code.files:
            self.text.setPlainText("There is no Python file in the model's folder.")
        close.setFocus()

    @Slot(int)
    def _show_file(self, row: int) -> None:
        if 0 <= row < len(self._code.files):
            self.text.setPlainText(self._code.files[row].text)

    @Slot()
    def _allow(self) -> None:
        self.allowed.emit()
        self.accept()
