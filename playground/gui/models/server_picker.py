"""The dialog that chooses one of a server's models."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QDialog, QWidget

from playground.client.servers import look_at
from playground.core.errors import PlaygroundError
from playground.core.protocol import ServerSeen
from playground.core.servers import KnownServer
from playground.gui.toolkit.background import Background
from playground.gui.toolkit.fields import ComboBox
from playground.gui.toolkit.screen import open_at_size
from playground.gui.toolkit.widgets import (
    h_box,
    muted_label,
    plain_label,
    push_button,
    set_kind,
    v_box,
)


class ServerModelDialog(QDialog):
    """Lists the models that a server names; another name can be typed."""

    chosen = Signal(str)

    def __init__(
        self, server: KnownServer, model: str, background: Background, parent: QWidget | None = None
    ) -> None:
        """`model` is the present one, "" for the server's only one."""
        super().__init__(parent)
        self.setWindowTitle(f"A model of {server.name}")
        open_at_size(self, 520, 190)
        self._model = model
        self.models = ComboBox()
        self.models.setEditable(True)
        self.models.setInsertPolicy(ComboBox.InsertPolicy.NoInsert)
        self.models.setAccessibleName("Model")
        self.models.setEditText(model)
        label = plain_label("&Model")
        label.setBuddy(self.models)
        self.note = muted_label(f"Asking {server.url} …", wrap=True)
        use = push_button("&Use", "Let the lane run this model", kind="primary")
        use.setDefault(True)
        use.clicked.connect(self._use)
        cancel = push_button("&Cancel")
        cancel.clicked.connect(self.reject)
        column = v_box(self, margin=16, spacing=10)
        column.addWidget(label)
        column.addWidget(self.models)
        column.addWidget(self.note)
        column.addStretch(1)
        below = h_box()
        below.addStretch(1)
        below.addWidget(use)
        below.addWidget(cancel)
        column.addLayout(below)
        self._task = background.start(partial(look_at, server), self._seen, self._failed)
        self.finished.connect(self._task.abandon)

    @Slot(object)
    def _seen(self, seen: ServerSeen) -> None:
        typed = self.models.currentText()
        self.models.addItems(list(seen.models))
        self.models.setEditText(typed or (seen.models[0] if seen.models else ""))
        count = len(seen.models)
        named = "names one model" if count == 1 else f"names {count} models"
        self.note.setText(f"{seen.label} {named}; another one can be typed.")

    @Slot(object)
    def _failed(self, error: PlaygroundError) -> None:
        self.note.setText(str(error))
        set_kind(self.note, "tone", "danger")

    @Slot()
    def _use(self) -> None:
        self.accept()
        self.chosen.emit(self.models.currentText().strip())
