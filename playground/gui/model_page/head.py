"""The head of a model's page: its name, its facts and its warnings."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QVBoxLayout, QWidget

from playground.gui.model_page.text import FOLDER
from playground.gui.toolkit import theme
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.widgets import (
    h_box,
    message_label,
    muted_label,
    plain_tip,
    set_kind,
    tool_button,
    v_box,
)

_COLUMNS = 2
_SHOWN = 3  # warnings


class PageHead(QWidget):
    """Shows the name, the facts in two columns, and the warnings in a box."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.back_button = tool_button("left", "Back", "Back to the previous page")
        self.title = ElidedLabel()
        self.title.setProperty("tone", "heading")
        self.title.setFont(theme.ui_font(1.2, bold=True))
        self.title.elide_mode = Qt.TextElideMode.ElideMiddle
        self.title.setMinimumHeight(28)  # that of the buttons, which are not always shown
        self.web_button = tool_button("export", "Open on the Hub…", "Open its page on the Hub…")
        self._facts = QWidget()
        self._grid = QGridLayout(self._facts)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(5)
        self.values: dict[str, ElidedLabel] = {}
        self.warnings = message_label()
        self._box = QFrame()
        self._box.setObjectName("message")
        set_kind(self._box, "level", "warning")
        inside = QVBoxLayout(self._box)
        inside.setContentsMargins(8, 6, 8, 6)
        inside.addWidget(self.warnings)
        line = h_box(self.back_button, self.title, self.web_button, spacing=6)
        line.setStretch(1, 1)
        column = v_box(self)
        column.addLayout(line)
        column.addWidget(self._facts)
        column.addWidget(self._box)

    def show_facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Show (label, value) pairs, the first half of them in the left column."""
        if [name for name, _ in facts] != list(self.values):
            self._lay_out([name for name, _ in facts])
        for name, value in facts:
            label = self.values[name]
            label.set_full_text(value)
            label.setAccessibleName(f"{name}: {value}")
        self._facts.setVisible(bool(facts))

    def show_warnings(self, sentences: Sequence[str]) -> None:
        """Show the first sentences; the tool tip shows them all."""
        shown = list(sentences[:_SHOWN])
        if len(sentences) > _SHOWN:
            shown[-1] += f" (and {len(sentences) - _SHOWN} more)"
        self.warnings.setText("\n".join(text[:300] for text in shown))
        self.warnings.setToolTip(plain_tip("\n".join(sentences)) if sentences[_SHOWN:] else "")
        self._box.setVisible(bool(sentences))

    def _lay_out(self, names: Sequence[str]) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self.values = {}
        rows = -(-len(names) // _COLUMNS)
        for place, name in enumerate(names):
            across, down = divmod(place, rows)
            value = self.values[name] = ElidedLabel()
            if name == FOLDER:
                value.elide_mode = Qt.TextElideMode.ElideMiddle
            self._grid.addWidget(muted_label(name), down, 2 * across)
            self._grid.addWidget(value, down, 2 * across + 1)
        for column in range(_COLUMNS):
            self._grid.setColumnStretch(2 * column + 1, 1)
