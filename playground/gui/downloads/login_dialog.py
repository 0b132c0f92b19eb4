"""The dialog that logs in to the Hub with a token, which is never shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QPushButton,
    QWidget,
)

from playground.core.errors import PlaygroundError
from playground.gui.toolkit.background import Background, Task
from playground.gui.toolkit.links import ask_to_open
from playground.gui.toolkit.widgets import (
    announce,
    label_for,
    muted_label,
    plain_label,
    push_button,
    set_kind,
    v_box,
)

#: Checks a token with the Hub, stores it and returns the user's name. Blocks.
Login = Callable[[str], str]


class LoginDialog(QDialog):
    """Asks for an access token and stores it where `hf auth login` does."""

    logged_in = Signal(str)  # the user's name

    def __init__(
        self, background: Background, *, login: Login | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Log in to the Hub")
        self._background = background
        self._login = login or _login
        self._task: Task | None = None
        explanation = plain_label(
            "Paste an access token of your account; permission to read is enough. It is checked "
            "with the Hub and stored where `hf auth login` stores it, and nowhere else.",
            wrap=True,
        )
        self.field = QLineEdit()
        self.field.setEchoMode(QLineEdit.EchoMode.Password)
        self.field.setMaxLength(400)
        self.field.setPlaceholderText("hf_…")
        self.field.setAccessibleName("Access token, shown as dots")
        self.status = muted_label("", wrap=True)
        self.status.setMinimumHeight(2 * self.status.fontMetrics().lineSpacing())
        self.status.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.create_button = push_button("&Create a token…", "Open the Hub's page for tokens")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        # Enter in the field always means "log in".
        buttons.button(QDialogButtonBox.StandardButton.Cancel).setAutoDefault(False)
        self.login_button = QPushButton("&Log in")
        self.login_button.setProperty("kind", "primary")
        self.login_button.setDefault(True)
        self.login_button.setEnabled(False)
        buttons.addButton(self.login_button, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(self.create_button, QDialogButtonBox.ButtonRole.ActionRole)
        column = v_box(self, margin=16)
        label = label_for("&Token", self.field)
        for widget in (explanation, label, self.field, self.status, buttons):
            column.addWidget(widget)
        self.resize(460, self.sizeHint().height())
        self.field.textChanged.connect(self._typed)
        self.create_button.clicked.connect(self._open_token_page)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.field.setFocus()

    def accept(self) -> None:
        """Check the token; the dialog closes when the Hub accepts it."""
        token = self.field.text().strip()
        if not token or self._task is not None:
            return
        self._say("Asking the Hub …")
        self.field.setEnabled(False)
        self.login_button.setEnabled(False)
        self._task = self._background.start(
            partial(self._login, token), self._accepted, self._refused
        )

    def done(self, result: int) -> None:
        if self._task is not None:
            self._task.abandon()
            self._task = None
        self.field.clear()
        super().done(result)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.reject()
        super().closeEvent(event)

    @Slot(str)
    def _typed(self, text: str) -> None:
        self.login_button.setEnabled(bool(text.strip()))
        self._say("")

    @Slot(object)
    def _accepted(self, name: object) -> None:
        self._task = None
        super().accept()
        self.field.clear()
        self.logged_in.emit(str(name))

    @Slot(object)
    def _refused(self, error: PlaygroundError) -> None:
        self._task = None
        self.field.setEnabled(True)
        self.login_button.setEnabled(True)
        self._say(f"{error.message} {error.remedy}".strip(), "danger")
        self.field.setFocus()
        self.field.selectAll()

    @Slot()
    def _open_token_page(self) -> None:
        from playground.hub.site.account import token_page

        ask_to_open(token_page(), self)

    def _say(self, text: str, tone: str = "muted") -> None:
        set_kind(self.status, "tone", tone)
        self.status.setText(text)
        if text:
            announce(self, text)


def _login(token: str) -> str:
    # Imported here, off the GUI thread: importing the Hub's library takes a while.
    from playground.hub.site.account import login

    return login(token)
