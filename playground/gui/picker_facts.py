"""The card that says what is known of the model selected in the picker."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout, QWidget

from playground.core.errors import PlaygroundError
from playground.gui.model_choices import Described, fact_lines, precision_lines, sentences
from playground.gui.views.widgets import ElidedLabel, muted_label, set_kind


class PickerFacts(QFrame):
    """Shows a model's facts, or why it cannot be used, or that they are being read."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self.setAccessibleName("Facts about the selected model")
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(10)
        self._title = ElidedLabel()
        self._title.setProperty("tone", "heading")
        self._title.elide_mode = Qt.TextElideMode.ElideMiddle
        self._reading = muted_label("Reading the model's files …")
        self._rows = QWidget()
        self._grid = QGridLayout(self._rows)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(7)
        self._grid.setColumnStretch(1, 1)
        self._notes = _plain_label("warning")
        self._problem = QFrame()
        self._problem.setObjectName("failure")
        inside = QVBoxLayout(self._problem)
        self._message = _plain_label("danger")
        self._cure = _plain_label("")
        inside.addWidget(self._message)
        inside.addWidget(self._cure)
        for widget in (self._title, self._reading, self._problem, self._rows, self._notes):
            column.addWidget(widget)
        column.addStretch(1)
        self.show_nothing()

    def show_nothing(self) -> None:
        self._show(title="")

    def show_reading(self, title: str) -> None:
        self._show(title=title, reading=True)

    def show_model(self, model: Described) -> None:
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        lines = [*fact_lines(model), ("Precisions", precision_lines(model))]
        for row, (name, value) in enumerate(lines):
            self._grid.addWidget(muted_label(name), row, 0, Qt.AlignmentFlag.AlignTop)
            self._grid.addWidget(_value(name, value), row, 1)
        self._notes.setText("\n".join(sentences(model)))
        self._show(title=model.name, rows=True, notes=bool(self._notes.text()))

    def show_problem(self, title: str, error: PlaygroundError) -> None:
        self._message.setText(error.message)
        self._cure.setText(error.cure)
        self._cure.setVisible(bool(error.cure))
        self._show(title=title, problem=True)

    def text(self) -> str:
        """All that the card says, a fact a line."""
        if self._problem.isVisibleTo(self):
            return f"{self._message.text()} {self._cure.text()}".strip()
        labels = self._rows.findChildren(QLabel) if self._rows.isVisibleTo(self) else []
        told = (w.full_text() if isinstance(w, ElidedLabel) else w.text() for w in labels)
        return "\n".join([*told, self._notes.text()]).strip()

    def _show(
        self,
        *,
        title: str,
        reading: bool = False,
        rows: bool = False,
        notes: bool = False,
        problem: bool = False,
    ) -> None:
        self._title.set_full_text(title)
        self._reading.setVisible(reading)
        self._rows.setVisible(rows)
        self._notes.setVisible(notes)
        self._problem.setVisible(problem)


def _plain_label(tone: str) -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse
        | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    if tone:
        set_kind(label, "tone", tone)
    return label


def _value(name: str, value: str) -> QLabel:
    if name != "Folder":
        label = _plain_label("")
        label.setText(value)
    else:
        label = elided = ElidedLabel()
        elided.elide_mode = Qt.TextElideMode.ElideMiddle
        elided.set_full_text(value, tip=value)
    label.setAccessibleName(f"{name}: {value}")
    return label
