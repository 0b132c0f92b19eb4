"""The head of a model's page: its name, its facts, what to know first, and what may be done."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from playground.gui.toolkit import theme
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.widgets import (
    muted_label,
    plain_tip,
    set_kind,
    tool_button,
    wrapping_policy,
)

_COLUMNS = 2
_SHOWN = 3


class PageHead(QWidget):
    """Name, facts in two columns, and sentences to be warned by."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.back_button = tool_button("left", "Back", "Back to the page before")
        self.title = ElidedLabel()
        self.title.setProperty("tone", "heading")
        self.title.setFont(theme.ui_font(1.2, bold=True))
        self.title.elide_mode = Qt.TextElideMode.ElideMiddle
        self.title.setMinimumHeight(28)  # as the buttons, which are not always there
        self.web_button = tool_button("export", "Open on the Hub…", "Open its page on the Hub…")
        self._facts = QWidget()
        self._grid = QGridLayout(self._facts)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(5)
        self._values: dict[str, ElidedLabel] = {}
        self._warnings = QLabel()
        self._warnings.setTextFormat(Qt.TextFormat.PlainText)
        self._warnings.setWordWrap(True)
        self._warnings.setSizePolicy(wrapping_policy())
        self._warnings.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        box = QFrame()
        box.setObjectName("message")
        set_kind(box, "level", "warning")
        inside = QVBoxLayout(box)
        inside.setContentsMargins(8, 6, 8, 6)
        inside.addWidget(self._warnings)
        self._box = box
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.back_button)
        line.addWidget(self.title, 1)
        line.addWidget(self.web_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(line)
        column.addWidget(self._facts)
        column.addWidget(box)

    def show_facts(self, facts: Sequence[tuple[str, str]]) -> None:
        """Show facts, the first half of them on the left."""
        if [name for name, _ in facts] != list(self._values):
            self._lay_out([name for name, _ in facts])
        for name, value in facts:
            label = self._values[name]
            label.set_full_text(value)
            label.setAccessibleName(f"{name}: {value}")
        self._facts.setVisible(bool(facts))

    def show_warnings(self, sentences: Sequence[str]) -> None:
        """Show the first of the sentences; the tool tip has them all."""
        shown = list(sentences[:_SHOWN])
        if len(sentences) > _SHOWN:
            shown[-1] += f" (and {len(sentences) - _SHOWN} more)"
        self._warnings.setText("\n".join(text[:300] for text in shown))
        self._warnings.setToolTip(plain_tip("\n".join(sentences)) if sentences[_SHOWN:] else "")
        self._box.setVisible(bool(sentences))

    def text(self) -> str:
        """All that the head says, a fact a line."""
        facts = [label.accessibleName() for label in self._values.values()]
        shown = facts if self._facts.isVisibleTo(self) else []
        return "\n".join([self.title.full_text(), *shown, self.warnings_text()]).strip()

    def warnings_text(self) -> str:
        return self._warnings.text() if self._box.isVisibleTo(self) else ""

    def _lay_out(self, names: Sequence[str]) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self._values = {}
        rows = -(-len(names) // _COLUMNS)
        for place, name in enumerate(names):
            across, down = divmod(place, rows)
            value = self._values[name] = ElidedLabel()
            if name == "Folder":
                value.elide_mode = Qt.TextElideMode.ElideMiddle
            self._grid.addWidget(muted_label(name), down, 2 * across)
            self._grid.addWidget(value, down, 2 * across + 1)
        for column in range(_COLUMNS):
            self._grid.setColumnStretch(2 * column + 1, 1)
