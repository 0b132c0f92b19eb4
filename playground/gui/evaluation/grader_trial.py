"""Tries a case's grader on an output as it is typed."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Slot
from PySide6.QtGui import QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from playground.core.format import plain_line
from playground.evaluation.case import Case, GraderKind
from playground.evaluation.grade import Grade, GradeState
from playground.evaluation.graders.grade import grade
from playground.gui.toolkit import theme
from playground.gui.toolkit.widgets import plain_label, set_kind, set_name, v_box

_TYPING_MS = 150
#: Characters that are graded while they are typed.
_MOST = 20_000
_OTHERS = (GraderKind.CHOICE, GraderKind.JUDGE, GraderKind.HUMAN)


class GraderTrial(QWidget):
    """Shows what the grader of the selected case finds in a text, and where."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.output = QPlainTextEdit()
        self.output.setPlaceholderText("Type or paste an output here, to see how it is graded")
        self.output.setTabChangesFocus(True)
        self.output.setProperty("kind", "input")
        set_name(self.output, "An output to try the grader on")
        self.output.setMinimumHeight(self.output.fontMetrics().height() * 3)
        self.found = plain_label(wrap=True)
        self.found.setAccessibleName("What the grader finds")
        self._case: Case | None = None
        self._typing = QTimer(self, singleShot=True, interval=_TYPING_MS)
        self._typing.timeout.connect(self._grade)
        self.output.textChanged.connect(self._typing.start)
        column = v_box(self, spacing=4)
        column.addWidget(self.output, 1)
        column.addWidget(self.found)
        theme.theme_changed.connect(self._grade)
        self._grade()

    def show_case(self, case: Case | None) -> None:
        """Grade by this case from now on."""
        self._case = case
        self._typing.start()

    @Slot()
    def _grade(self) -> None:
        text = self.output.toPlainText()[:_MOST]
        case = self._case
        found: Grade | None = None
        if case is None:
            words = "Select a case to try its grader."
        elif case.grader.kind in _OTHERS:
            words = f"The grader {case.grader.kind} needs a model or a person."
        elif not text:
            words = f"Grader: {case.grader.kind}."
        else:
            found = grade(text, case)
            words = grade_text(found)
        self.found.setText(words)
        tone = ""
        if found is not None:
            tone = "success" if found.score == 1.0 else "danger"
        set_kind(self.found, "tone", tone)
        self._mark(found)

    def _mark(self, found: Grade | None) -> None:
        """Light up what was extracted."""
        marks = []
        if found is not None and found.span is not None:
            mark = QTextEdit.ExtraSelection()
            form = QTextCharFormat()
            form.setBackground(theme.color("warning_back"))
            form.setFontUnderline(True)
            mark.format = form
            cursor = QTextCursor(self.output.document())
            cursor.setPosition(found.span[0])
            cursor.setPosition(found.span[1], QTextCursor.MoveMode.KeepAnchor)
            mark.cursor = cursor
            marks.append(mark)
        self.output.setExtraSelections(marks)


def grade_text(found: Grade) -> str:
    """Return a grade in words: "✓ right: 42 (marked)"."""
    if found.state is GradeState.ERROR:
        return f"! {found.note}"
    if found.state is not GradeState.GRADED:
        return f"– {found.state}{f': {found.note}' if found.note else ''}"
    mark = "✓ right" if found.score == 1.0 else "✗ wrong"
    value = f": {plain_line(found.value)[:120]}" if found.value else ""
    how = f" ({found.how})" if found.how else ""
    return f"{mark}{value}{how}{f'; {found.note}' if found.note else ''}"
