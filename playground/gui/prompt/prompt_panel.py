"""The panel in which the prompt is written: raw text or a chat message, or an example."""

from __future__ import annotations

import logging
import tomllib

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from playground.core.errors import PlaygroundError
from playground.core.system.resources import resource
from playground.gui.lanes.conversation import Mode
from playground.gui.prompt.prompt_edit import PromptEdit
from playground.gui.toolkit import theme
from playground.gui.toolkit.segments import Segments
from playground.gui.toolkit.widgets import muted_label, plain_label, tool_button

log = logging.getLogger(__name__)

_PLACEHOLDERS = {
    "raw": "Text for the models to continue, for example: Once upon a time",
    "chat": "A message to the models",
}


class PromptPanel(QWidget):
    """Holds the prompt, the mode and the system prompt, and the buttons that run it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Prompt")
        title = plain_label("Prompt", "heading")
        self.modes = Segments(
            "Mode",
            (
                ("raw", "Continue te&xt", "The models continue the text as it stands"),
                ("chat", "Ch&at", "A conversation, formatted by the model's own chat template"),
            ),
        )
        self.modes.chosen.connect(self._show_mode)
        self.examples = tool_button("examples", "Example prompts")
        self.examples.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self.examples)
        self._menu.setToolTipsVisible(True)
        self._menu.triggered.connect(self._example_chosen)
        self.examples.setMenu(self._menu)
        self._fill_examples()

        self._system_label = muted_label("System prompt")
        self.system = PromptEdit()
        self.system.setPlaceholderText("How the models should behave (optional)")
        self.system.setAccessibleName("System prompt")
        self.system.setFixedHeight(52)
        self.edit = PromptEdit()
        self.edit.setAccessibleName("Prompt text")
        self.edit.setAccessibleDescription("Ctrl+Enter runs it in every lane")
        self.edit.setMinimumHeight(64)
        self.edit.setMaximumHeight(560)
        self.edit.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

        self._refusal = ""
        for field in (self.system, self.edit):
            # Queued: Qt reports a change of the text after a drop that inserted nothing.
            field.refused.connect(self._show_refusal, Qt.ConnectionType.QueuedConnection)
            field.textChanged.connect(self._forget_refusal)

        self.notice = plain_label("", "warning", wrap=True)
        self.notice.setAccessibleName("Notice on the prompt")
        self.notice.hide()

        self.run_button = QPushButton("Run")
        self.run_button.setProperty("kind", "primary")
        self.run_button.setToolTip("Load what is not loaded, and run the prompt (Ctrl+Enter)")
        self.stop_button = QPushButton("Stop")
        self.stop_button.setProperty("kind", "danger")
        self.stop_button.setToolTip("Stop every lane after its current token (Esc)")
        self.edit_last_button = tool_button(
            "edit", "Edit the last prompt", "Put the last prompt back here for editing (Ctrl+E)"
        )
        self.private_button = tool_button(
            "private", "Private run", "While this is on, runs are not kept in the history"
        )
        self.private_button.setCheckable(True)
        self.clear_button = tool_button(
            "clear", "Clear the texts", "Clear the lanes' texts and start again (Ctrl+Shift+X)"
        )

        head = QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(title)
        head.addStretch(1)
        head.addWidget(self.modes)
        head.addWidget(self.examples)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self.run_button, 1)
        buttons.addWidget(self.stop_button, 1)
        buttons.addWidget(self.private_button)
        buttons.addWidget(self.edit_last_button)
        buttons.addWidget(self.clear_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self._system_label)
        column.addWidget(self.system)
        column.addWidget(self.edit, 1)
        column.addWidget(self.notice)
        column.addLayout(buttons)
        column.addStretch(0)
        theme.theme_changed.connect(self._tint)
        self._tint()
        self._show_mode()
        self.set_running(False)

    def prompt_text(self) -> str:
        return self.edit.text()

    def set_prompt_text(self, text: str) -> None:
        """Replace the prompt as one edit that can be undone."""
        self.edit.set_text(text)

    def system_prompt(self) -> str:
        return self.system.text()

    def restore(self, text: str, mode: Mode, system: str) -> None:
        """Begin with a prompt, a mode and a system prompt; undoing does not remove them."""
        self.set_mode(mode)
        for field, content in ((self.edit, text), (self.system, system)):
            field.set_text(content)
            field.document().clearUndoRedoStacks()

    def mode(self) -> Mode:
        return "chat" if self.modes.value() == "chat" else "raw"

    def set_mode(self, mode: Mode) -> None:
        """Choose the mode."""
        self.modes.set_value(mode)
        self._show_mode()

    def set_chat_available(self, ok: bool, reason: str) -> None:
        """Offer the chat mode or give the reason why not; then the mode falls back to raw."""
        tip = reason or "A conversation, formatted by the model's own chat template"
        self.modes.set_available("chat", ok, tip)
        if not ok and self.mode() == "chat":
            self.set_mode("raw")

    def set_running(self, running: bool) -> None:
        """Enable only Stop while lanes run; the text can be edited meanwhile."""
        had_focus = self.run_button.hasFocus() or self.stop_button.hasFocus()
        self.run_button.setEnabled(not running)
        self.stop_button.setEnabled(running)
        self.edit_last_button.setEnabled(not running)
        self.clear_button.setEnabled(not running)
        if had_focus:
            (self.stop_button if running else self.run_button).setFocus()

    def set_notice(self, text: str) -> None:
        """Show a notice below the prompt, none for ""."""
        self.notice.setText(text)
        self.notice.setVisible(bool(text))

    @Slot(object)
    def _show_refusal(self, error: PlaygroundError) -> None:
        self._refusal = f"{error.message} {error.remedy}"
        self.set_notice(self._refusal)

    @Slot()
    def _forget_refusal(self) -> None:
        if self._refusal and self.notice.text() == self._refusal:
            self.set_notice("")

    def focus_prompt(self) -> None:
        self.edit.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _show_mode(self) -> None:
        chat = self.mode() == "chat"
        self._system_label.setVisible(chat)
        self.system.setVisible(chat)
        self.edit.setPlaceholderText(_PLACEHOLDERS[self.mode()])
        self.run_button.setText("Send" if chat else "Run")

    def _fill_examples(self) -> None:
        for group, prompts in load_examples():
            self._menu.addSection(group)
            for example in prompts:
                action = self._menu.addAction(example["name"].replace("&", "&&"))
                action.setToolTip(example["text"][:300])
                action.setData((example["text"], example.get("mode", "raw")))

    def _example_chosen(self, action: QAction) -> None:
        text, mode = action.data()
        if mode == "raw" or self.modes.button("chat").isEnabled():
            self.set_mode(mode)
        self.set_prompt_text(text)
        self.focus_prompt()

    def _tint(self) -> None:
        self.run_button.setIcon(theme.icon("play", "on_accent"))
        self.stop_button.setIcon(theme.icon("stop", "danger"))


def load_examples() -> list[tuple[str, list[dict[str, str]]]]:
    """Return the shipped example prompts by group, none where the file cannot be read."""
    try:
        stored = tomllib.loads(resource("prompts.toml").read_text("utf-8"))
        return [(str(group["name"]), list(group["prompts"])) for group in stored["group"]]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        log.warning("The example prompts cannot be read: %s", error)
        return []
