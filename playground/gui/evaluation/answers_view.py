"""The answers of all contestants to one case, side by side from where they part."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QTextCharFormat, QTextCursor
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPlainTextEdit,
    QSplitter,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from playground.core.difference import different_spans
from playground.evaluation.report.text import MARKS, mark_of
from playground.evaluation.store.records import KeptEvaluation, KeptItem
from playground.gui.evaluation.grader_trial import grade_text
from playground.gui.toolkit import theme
from playground.gui.toolkit.widgets import muted_label, plain_label, push_button, set_name, v_box


class AnswersView(QWidget):
    """Draws a case. `overruled` carries a contestant's position and whether it is right."""

    overruled = Signal(int, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.prompt = QPlainTextEdit(readOnly=True)
        set_name(self.prompt, "The case")
        self.prompt.setTabChangesFocus(True)
        self.prompt.setProperty("kind", "input")
        self.expected = muted_label("", wrap=True)
        self._answers = QSplitter(Qt.Orientation.Horizontal)
        self._answers.setChildrenCollapsible(False)
        self.columns: list[_Column] = []
        left = QWidget()
        around = v_box(left, spacing=4)
        around.addWidget(self.prompt, 1)
        around.addWidget(self.expected)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.setChildrenCollapsible(False)
        split.addWidget(left)
        split.addWidget(self._answers)
        split.setStretchFactor(1, 1)
        split.setSizes([260, 740])
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(split)

    def show_case(self, evaluation: KeptEvaluation | None, case_id: str) -> None:
        """Show a case with its answers; "" for none."""
        case = evaluation.cases.get(case_id) if evaluation is not None else None
        self.prompt.setPlainText(case.input if case is not None else "")
        targets = " or ".join(case.targets) if case is not None else ""
        kind = f" ({case.grader.kind})" if case is not None else ""
        self.expected.setText(f"Expected: {targets}{kind}" if targets else "")
        contestants = evaluation.contestants if evaluation is not None else []
        while len(self.columns) < len(contestants):
            column = _Column(len(self.columns), self)
            self.columns.append(column)
            self._answers.addWidget(column)
        reference = ""
        if evaluation is not None:
            item = contestants[evaluation.plan.reference].items.get(case_id)
            reference = item.answer.text if item is not None else ""
        for position, column in enumerate(self.columns):
            column.setVisible(position < len(contestants))
            if position < len(contestants) and evaluation is not None:
                one = contestants[position]
                star = " ★" if position == evaluation.plan.reference else ""
                column.show_answer(f"{one.config.how}{star}", one.items.get(case_id), reference)


class _Column(QWidget):
    """One contestant's answer, with its grade."""

    def __init__(self, position: int, view: AnswersView) -> None:
        super().__init__(view)
        self.title = plain_label(tone="heading")
        self.text = QPlainTextEdit(readOnly=True)
        self.text.setTabChangesFocus(True)
        self.text.setProperty("kind", "input")
        self.grade = plain_label(wrap=True)
        self.right = push_button("Right", "Overrule the grader: the answer is right")
        self.wrong = push_button("Wrong", "Overrule the grader: the answer is wrong")
        self.right.clicked.connect(lambda: view.overruled.emit(position, True))
        self.wrong.clicked.connect(lambda: view.overruled.emit(position, False))
        below = QHBoxLayout()
        below.setContentsMargins(0, 0, 0, 0)
        below.addWidget(self.grade, 1)
        below.addWidget(self.right)
        below.addWidget(self.wrong)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.title)
        column.addWidget(self.text, 1)
        column.addLayout(below)

    def show_answer(self, label: str, item: KeptItem | None, reference: str) -> None:
        """Show an answer, what the grader found in it, and its words that differ."""
        answer = item.answer if item is not None else None
        text = answer.text if answer is not None else ""
        if answer is not None and (answer.skipped or answer.failure):
            text = answer.skipped or answer.failure
        self.title.setText(label)
        set_name(self.text, f"Answer of {label}")
        self.text.setPlainText(text)
        final = item.final if item is not None else None
        human = " (by a person)" if item is not None and item.human is not None else ""
        if final is None:
            self.grade.setText("not asked yet" if item is None else "graded by a person only")
        else:
            self.grade.setText(grade_text(final) + human)
        mark = mark_of(item)
        self.title.setText(f"{MARKS.get(mark, '')} {label}".strip())
        self.right.setVisible(item is not None)
        self.wrong.setVisible(item is not None)
        spans = different_spans(reference, text) if reference and text != reference else ()
        marks = [_mark(self.text, span, underline=True) for span in spans]
        if final is not None and final.span is not None and answer is not None:
            marks.append(_mark(self.text, final.span, underline=False))
        self.text.setExtraSelections(marks)


def _mark(
    view: QPlainTextEdit, span: tuple[int, int], *, underline: bool
) -> QTextEdit.ExtraSelection:
    """Underline words that differ, or light up what was extracted."""
    mark = QTextEdit.ExtraSelection()
    shape = QTextCharFormat()
    if underline:
        shape.setFontUnderline(True)
        shape.setUnderlineColor(theme.color("warning"))
        shape.setBackground(theme.color("warning_back"))
    else:
        shape.setBackground(theme.color("info_back"))
        shape.setFontWeight(600)
    mark.format = shape
    cursor = QTextCursor(view.document())
    cursor.setPosition(span[0])
    cursor.setPosition(min(span[1], len(view.toPlainText())), QTextCursor.MoveMode.KeepAnchor)
    mark.cursor = cursor
    return mark
