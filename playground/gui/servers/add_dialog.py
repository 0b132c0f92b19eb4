"""The dialog that adds a server by its address."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QCheckBox, QDialog, QFormLayout, QLineEdit, QWidget

from playground.core.errors import OptionsError
from playground.core.servers import KnownServer, clean_address, default_name, is_this_machine
from playground.gui.servers.controller import NewServer, ServersController
from playground.gui.toolkit.screen import open_at_size
from playground.gui.toolkit.widgets import h_box, message_label, push_button, v_box


class AddServerDialog(QDialog):
    """Asks for address, name and key; it closes once the server is added."""

    def __init__(self, servers: ServersController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Add a server")
        open_at_size(self, 520, 280)
        self._servers = servers
        self.address = QLineEdit()
        self.address.setPlaceholderText("http://127.0.0.1:8000/v1")
        self.name = QLineEdit()
        self.name.setPlaceholderText("its host and port")
        self.key = QLineEdit()
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.key.setPlaceholderText("none")
        self.variable = QLineEdit()
        self.variable.setPlaceholderText("or the environment variable that holds it")
        self.keep = QCheckBox("Keep the key in the system's &keyring")
        self.keep.setChecked(True)
        self.plain = QCheckBox("Send the key over &http, readable on the way")
        form = QFormLayout()
        for text, field, accessible in (
            ("A&ddress", self.address, "Address"),
            ("&Name", self.name, "Name"),
            ("K&ey", self.key, "Key"),
            ("&Variable", self.variable, "Environment variable with the key"),
        ):
            field.setAccessibleName(accessible)
            form.addRow(text, field)
        form.addRow("", self.keep)
        form.addRow("", self.plain)
        self.problem = message_label("danger")
        self.problem.hide()
        add = push_button("&Add", kind="primary")
        add.setDefault(True)
        add.clicked.connect(self._add)
        cancel = push_button("&Cancel")
        cancel.clicked.connect(self.reject)
        below = h_box()
        below.addStretch(1)
        below.addWidget(add)
        below.addWidget(cancel)
        column = v_box(self, margin=16, spacing=10)
        column.addLayout(form)
        column.addWidget(self.problem)
        column.addStretch(1)
        column.addLayout(below)
        self.address.textChanged.connect(self._show_choices)
        self.key.textChanged.connect(self._show_choices)
        self.variable.textChanged.connect(self._show_choices)
        self._show_choices()

    @Slot()
    def _show_choices(self) -> None:
        """Offer what concerns a key only where there is one."""
        self.problem.hide()
        typed = bool(self.key.text())
        self.keep.setEnabled(typed)
        try:
            url = clean_address(self.address.text())
        except OptionsError:
            url = ""
        readable = url.startswith("http://") and not is_this_machine(url)
        self.plain.setVisible(readable and (typed or bool(self.variable.text())))

    @Slot()
    def _add(self) -> None:
        try:
            url = clean_address(self.address.text())
        except OptionsError as error:
            self._complain(str(error))
            return
        server = KnownServer(
            self.name.text().strip() or default_name(url),
            url,
            key_variable=self.variable.text().strip(),
            plain_key=self.plain.isChecked() and self.plain.isVisible(),
        )
        keep = self.keep.isChecked()
        reason = self._servers.add(NewServer(server, self.key.text().strip(), keep))
        if reason:
            self._complain(reason)
        else:
            self.accept()

    def _complain(self, text: str) -> None:
        self.problem.setText(text)
        self.problem.show()
