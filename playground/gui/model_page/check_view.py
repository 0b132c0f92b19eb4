"""The bar above a model's files: checking them, the progress, and what was found."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from playground.gui.toolkit.thin_bar import ThinBar
from playground.gui.toolkit.widgets import (
    announce,
    h_box,
    message_label,
    push_button,
    set_kind,
    v_box,
)

_TIP = "Read every byte, and compare it with the hashes that the Hub announces"


class FilesCheckBar(QWidget):
    """Shows the button, the progress of a check, or its outcome."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.check_button = push_button("Chec&k files", _TIP)
        self.cancel_button = push_button("Cancel", "Stop checking the files")
        self.fetch_button = push_button(
            "Fetch agai&n", "Download what is damaged or missing again", kind="primary"
        )
        self.text = message_label()
        self._bar = ThinBar()
        buttons = h_box(self.check_button, self.cancel_button, self.fetch_button)
        buttons.addWidget(self.text, 1)
        column = v_box(self, spacing=4)
        column.addLayout(buttons)
        column.addWidget(self._bar)
        self.show_text("")

    def show_text(self, text: str, tone: str = "muted", *, fetch: bool = False) -> None:
        """Show a sentence, "" for none, and offer to check the files; `fetch`: also to fetch."""
        self._show(text, tone, checking=False)
        self.fetch_button.setVisible(fetch)
        self._bar.set_progress(False, None)
        if text:
            announce(self, text)

    def show_progress(self, fraction: float) -> None:
        """Show how far a check is, 0 to 1."""
        self._show(f"Checking the files … {fraction:.0%}", "muted", checking=True)
        self.fetch_button.hide()
        self._bar.set_progress(True, fraction)

    def _show(self, text: str, tone: str, *, checking: bool) -> None:
        focused = self.check_button.hasFocus() or self.cancel_button.hasFocus()
        self.text.setText(text)
        set_kind(self.text, "tone", tone)
        self.check_button.setVisible(not checking)
        self.cancel_button.setVisible(checking)
        if focused:  # a hidden button would give the focus away
            (self.cancel_button if checking else self.check_button).setFocus()
