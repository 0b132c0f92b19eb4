"""The dialog of the servers: what each is and has; adding, finding and removing them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHeaderView,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from playground.gui.servers.add_dialog import AddServerDialog
from playground.gui.servers.controller import ServersController, ServerState
from playground.gui.toolkit.screen import open_at_size
from playground.gui.toolkit.widgets import (
    h_box,
    muted_label,
    plain_label,
    push_button,
    set_kind,
    v_box,
)

_EXPLANATION = (
    "Servers that speak OpenAI's API, such as vLLM, SGLang, llama.cpp's server, Ollama and "
    "transformers serve. Choose one for a lane in the lane's menu, under Runs on."
)
_NONE_YET = "There is none yet. “Find” looks at the usual ports of this machine."
_SHOWN_MODELS = 12
_TONES = {"warning": "warning", "error": "danger"}


class ServersDialog(QDialog):
    """Shows what the controller knows."""

    def __init__(self, servers: ServersController, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Servers")
        open_at_size(self, 780, 420)
        self._servers = servers
        self._build()
        servers.changed.connect(self._show)
        servers.added.connect(self._select)
        servers.finding_changed.connect(self.find_button.setDisabled)
        servers.notify.message.connect(self._show_message)  # the window's bar is behind
        self._show()
        servers.look_all()

    @property
    def chosen(self) -> ServerState | None:
        """The server that is selected in the list."""
        row = self.list.currentIndex().row()
        states = self._servers.states()
        return states[row] if 0 <= row < len(states) else None

    def _build(self) -> None:
        self.list = QTreeWidget()
        self.list.setAccessibleName("Servers")
        self.list.setHeaderLabels(["Name", "What it is", "Address"])
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = self.list.header()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        self.list.currentItemChanged.connect(self._show_chosen)
        self.details = plain_label(wrap=True)
        self.details.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.details.setMinimumHeight(self.details.fontMetrics().height() * 3)
        self.details.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.add_button = push_button("&Add…", "Add a server by its address")
        self.add_button.clicked.connect(self._ask_server)
        self.find_button = push_button("&Find", "Look at the usual ports of this machine")
        self.find_button.clicked.connect(self._find)
        self.look_button = push_button("Ask a&gain", "Ask the server what it is and has")
        self.look_button.clicked.connect(self._look)
        self.remove_button = push_button("&Remove", "Forget the server and its key")
        self.remove_button.clicked.connect(self._remove)
        self.note = plain_label(wrap=True)
        self.note.hide()
        close = push_button("C&lose")
        close.clicked.connect(self.reject)
        below = h_box(self.add_button, self.find_button, self.look_button, self.remove_button)
        below.addStretch(1)
        below.addWidget(close)
        column = v_box(self, margin=16, spacing=12)
        column.addWidget(muted_label(_EXPLANATION, wrap=True))
        column.addWidget(self.list, 1)
        column.addWidget(self.details)
        column.addWidget(self.note)
        column.addLayout(below)

    @Slot()
    def _show(self) -> None:
        states = self._servers.states()
        row = max(0, self.list.currentIndex().row())
        self.list.blockSignals(True)
        self.list.clear()
        for state in states:
            told = state.seen.label if state.seen else "…"
            if state.problem:
                told = "does not answer"
            if state.busy:
                told = f"{state.busy} …"
            item = QTreeWidgetItem([state.server.name, told, state.server.url])
            item.setToolTip(2, state.server.url)
            self.list.addTopLevelItem(item)
        self.list.blockSignals(False)
        if states:
            self.list.setCurrentIndex(self.list.model().index(min(row, len(states) - 1), 0))
        self._show_chosen()

    @Slot()
    def _show_chosen(self) -> None:
        state = self.chosen
        self.details.setText(details_text(state) if state else _NONE_YET)
        set_kind(self.details, "tone", "danger" if state and state.problem else "")
        self.look_button.setEnabled(state is not None and not state.busy)
        self.remove_button.setEnabled(state is not None)

    @Slot(str)
    def _select(self, name: str) -> None:
        names = [state.server.name for state in self._servers.states()]
        if name in names:
            self.list.setCurrentIndex(self.list.model().index(names.index(name), 0))

    @Slot(str, str, str)
    def _show_message(self, text: str, level: str, remedy: str) -> None:
        self.note.setText(f"{text} {remedy}".strip())
        set_kind(self.note, "tone", _TONES.get(level, ""))
        self.note.show()

    # What the user asks for

    @Slot()
    def _ask_server(self) -> None:
        self.note.hide()
        dialog = AddServerDialog(self._servers, self)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @Slot()
    def _find(self) -> None:
        self.note.hide()
        self._servers.find()

    @Slot()
    def _look(self) -> None:
        if self.chosen:
            self._servers.look(self.chosen.server.name)

    @Slot()
    def _remove(self) -> None:
        if self.chosen:
            self._servers.remove(self.chosen.server.name)


def details_text(state: ServerState) -> str:
    """Return what is known of a server, in sentences."""
    if state.problem:
        return state.problem
    if state.seen is None:
        return "It has not answered yet."
    models = state.seen.models
    if not models:
        return f"{state.seen.label}. It names no models; type one's name in the lane."
    more = len(models) - _SHOWN_MODELS
    listed = ", ".join(models[:_SHOWN_MODELS]) + (f" and {more} more" if more > 0 else "")
    key = ""
    if state.server.in_keyring:
        key = " Its key is in the system's keyring."
    elif state.server.key_variable:
        key = f" Its key is in the environment variable {state.server.key_variable}."
    return f"{state.seen.label}. Models: {listed}.{key}"
