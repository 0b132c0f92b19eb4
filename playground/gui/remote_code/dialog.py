"""The dialog that shows a model's own Python code, and allows it to run."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import (
    QDialog,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QWidget,
)

from playground.core.facts import CodeConsent
from playground.core.model.remote_code import RemoteCode
from playground.gui.toolkit import theme
from playground.gui.toolkit.screen import open_at_size
from playground.gui.toolkit.widgets import h_box, message_label, plain_label, push_button, v_box

_WARNING = (
    "This code would run on this machine with all your rights: it can read, change and send "
    "whatever you can. Allow it only if you trust its authors, or have read it."
)


@dataclass(frozen=True)
class CodeReview:
    """What is shown of a model's code.

    `consent` is what agreeing stores. `earlier` is another commit that the user agreed to, and
    `refusal` says why the code cannot be allowed at all; both are "" where there is none.
    """

    consent: CodeConsent
    code: RemoteCode
    earlier: str = ""
    refusal: str = ""


class RemoteCodeDialog(QDialog):
    """Shows every file of code as it is."""

    allowed = Signal()  # the user agrees to this version of the code

    def __init__(self, review: CodeReview, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Review the model's own code")
        open_at_size(self, 920, 600)
        self._code = code = review.code
        head, self.version = message_label("heading"), message_label("muted")
        head.setText(f"{review.consent.model} brings Python code of its own")
        self.version.setText(f"Version: {review.consent.commit}")
        self.warning = message_label("danger" if review.refusal else "warning")
        self.warning.setText(review.refusal or _WARNING)
        self.changed = plain_label(
            f"You agreed to another version before, {review.earlier}; this one differs.",
            "danger",
            wrap=True,
        )
        self.changed.setVisible(bool(review.earlier))
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

        self.allow_button = push_button(
            "&Allow this version", "Remembered for this version only; see the settings",
            kind="danger",
        )  # fmt: skip
        self.allow_button.setEnabled(not review.refusal)
        self.allow_button.clicked.connect(self._allow)
        close = QPushButton("Do &not run it")
        close.setDefault(True)
        close.clicked.connect(self.reject)
        below = h_box(self.allow_button, close)
        below.insertStretch(0, 1)
        column = v_box(self, margin=16)
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
