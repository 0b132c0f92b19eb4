"""Opens links from model cards in the browser, after showing where each one leads."""

from __future__ import annotations

from PySide6.QtCore import QUrl, Slot
from PySide6.QtGui import QDesktopServices, QFont, QGuiApplication, QTextOption
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QPlainTextEdit,
    QPushButton,
    QWidget,
)

from playground.gui.toolkit import theme
from playground.gui.toolkit.widgets import plain_label, v_box


def web_link(address: str, base: str = "") -> QUrl | None:
    """Return an http or https address, resolved against `base`; None for any other kind."""
    if not address.strip():
        return None
    url = QUrl(address.strip())
    if url.isRelative() and base:
        url = QUrl(base).resolved(url)
    good = url.isValid() and url.scheme() in ("http", "https") and url.host()
    return url if good else None


def ask_to_open(address: str, parent: QWidget, base: str = "") -> LinkQuestion | None:
    """Show where a link leads and offer to open it; None where it leads to no web page."""
    url = web_link(address, base)
    if url is None:
        return None
    question = LinkQuestion(url, parent)
    question.finished.connect(question.deleteLater)
    question.open()
    return question


class LinkQuestion(QDialog):
    """Shows the full address, with the host name as DNS sees it, before it is opened."""

    def __init__(self, url: QUrl, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open a web page")
        self._url = url
        #: The address in ASCII only, so that it cannot hide look-alike letters.
        self.address = bytes(url.toEncoded().data()).decode("ascii", "replace")
        host = bytes(QUrl.toAce(url.host()).data()).decode("ascii", "replace")
        question = f"Open a page of {host or url.host()} in your browser?"
        head = plain_label(question, "heading", wrap=True)
        shown = QPlainTextEdit(self.address)
        shown.setReadOnly(True)
        shown.setTabChangesFocus(True)
        shown.setProperty("kind", "input")
        letters = theme.mono_font()
        letters.setFeature(QFont.Tag("calt"), 0)  # no ligatures
        shown.setFont(letters)
        shown.setWordWrapMode(QTextOption.WrapMode.WrapAnywhere)
        shown.setFixedHeight(4 * shown.fontMetrics().lineSpacing())
        shown.setAccessibleName("The whole address")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.open_button = QPushButton("&Open")
        self.copy_button = QPushButton("Co&py the address")
        buttons.addButton(self.open_button, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(self.copy_button, QDialogButtonBox.ButtonRole.ActionRole)
        column = v_box(self, margin=16, spacing=12)
        for widget in (head, shown, buttons):
            column.addWidget(widget)
        self.resize(480, self.sizeHint().height())
        buttons.accepted.connect(self._open)
        buttons.rejected.connect(self.reject)
        self.copy_button.clicked.connect(self._copy)
        cancel = buttons.button(QDialogButtonBox.StandardButton.Cancel)
        cancel.setDefault(True)
        cancel.setFocus()

    @Slot()
    def _open(self) -> None:
        QDesktopServices.openUrl(self._url)
        self.accept()

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.address)
        self.reject()
