"""The page of an evaluation's results: verdicts, the matrix, and the walk through the flips."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QSplitter, QTableView, QWidget

from playground.evaluation.report.summary import ContestantSummary, summarise
from playground.evaluation.report.text import HEAD, row_of, sentence_of
from playground.evaluation.store.records import KeptEvaluation
from playground.gui.evaluation.answers_view import AnswersView
from playground.gui.evaluation.matrix_model import MatrixModel
from playground.gui.evaluation.verdict_bars import VerdictBars
from playground.gui.toolkit.text_table import RowsTable, dress_table
from playground.gui.toolkit.widgets import h_box, muted_label, plain_label, push_button, v_box


class ResultsView(QWidget):
    """Draws an evaluation. `overruled` carries position, case and whether the answer is right."""

    overruled = Signal(int, str, bool)
    reportRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._evaluation: KeptEvaluation | None = None
        self._summaries: list[ContestantSummary] = []
        self.figures = RowsTable("Contestants", HEAD, right=range(1, len(HEAD)))
        self.figures.setMaximumHeight(4 * 26 + 34)
        self.bars = VerdictBars()
        self.sentences = plain_label(wrap=True)
        self.sentences.setAccessibleName("Verdicts")
        self.matrix = MatrixModel()
        self.table = QTableView()
        self.table.setModel(self.matrix)
        dress_table(self.table, "Cases and outcomes")
        self.table.setAccessibleDescription(
            "N goes to the next flip, Shift+N to the one before, T overrules the grader there"
        )
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setWordWrap(False)
        self.answers = AnswersView()
        self.answers.overruled.connect(self._overruled)
        self.flips = muted_label("")
        self.next_button = push_button("&Next flip", "The next case with a difference (N)")
        self.next_button.clicked.connect(self.next_flip)
        self.before_button = push_button("&Previous flip", "The one before (Shift+N)")
        self.before_button.clicked.connect(self.previous_flip)
        self.report_button = push_button("&Report…", "Save as HTML, Markdown, JSONL, CSV or a zip")
        self.report_button.clicked.connect(self.reportRequested)
        for keys, do in (
            ("N", self.next_flip),
            ("Shift+N", self.previous_flip),
            ("T", self.overrule),
        ):
            shortcut = QShortcut(QKeySequence(keys), self.table)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(do)
        walk = h_box(self.before_button, self.next_button, self.flips)
        walk.addStretch(1)
        walk.addWidget(self.report_button)
        upper = QWidget()
        top = v_box(upper, spacing=6)
        top.addWidget(self.figures)
        top.addWidget(self.bars)
        top.addWidget(self.sentences)
        top.addWidget(self.table, 1)
        top.addLayout(walk)
        split = QSplitter(Qt.Orientation.Vertical)
        split.setChildrenCollapsible(False)
        split.addWidget(upper)
        split.addWidget(self.answers)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        column = v_box(self)
        column.addWidget(split)
        self.table.selectionModel().currentChanged.connect(self._show_current)

    def show_evaluation(self, evaluation: KeptEvaluation | None) -> None:
        """Show another evaluation."""
        self._evaluation = evaluation
        self.matrix.show(evaluation)
        header = self.table.horizontalHeader()
        for column in range(self.matrix.columnCount()):
            stretch = QHeaderView.ResizeMode.Stretch
            mode = QHeaderView.ResizeMode.Interactive if column else stretch
            header.setSectionResizeMode(column, mode)
            if column:
                header.resizeSection(column, 140)
        self.refresh(set(), estimate=True)
        if self.matrix.rowCount():
            self.table.setCurrentIndex(self.matrix.index(0, 0))
        self._show_current()

    def refresh(self, case_ids: set[str], *, estimate: bool) -> None:
        """Draw what has come: these cases, the figures and the verdicts."""
        evaluation = self._evaluation
        self.matrix.refresh(case_ids)
        self._summaries = summarise(evaluation, estimate=estimate) if evaluation is not None else []
        self.figures.rows.set_rows([row_of(one) for one in self._summaries])
        self.bars.show_summaries(self._summaries, evaluation.plan.margin if evaluation else 0.05)
        lines = [f"{one.label}: {sentence_of(one)}" for one in self._summaries if one.verdict]
        self.sentences.setText("\n".join(lines))
        self.sentences.setVisible(bool(lines))
        count = len(self._flips())
        self.flips.setText("no flips" if not count else f"{count:,} flips")
        self.next_button.setEnabled(bool(count))
        self.before_button.setEnabled(bool(count))
        self.report_button.setEnabled(evaluation is not None)
        if self.matrix.case_id(self.table.currentIndex().row()) in case_ids:
            self._show_current()

    @Slot()
    def next_flip(self) -> None:
        """Go to the next case in which a contestant and the reference differ."""
        self._go(1)

    @Slot()
    def previous_flip(self) -> None:
        """Go to the one before."""
        self._go(-1)

    @Slot()
    def overrule(self) -> None:
        """Overrule the grader of the first contestant whose grade differs from the reference's."""
        case_id = self.matrix.case_id(self.table.currentIndex().row())
        for position, one in enumerate(self._summaries):
            if one.paired is None or case_id not in (*one.paired.flips_down, *one.paired.flips_up):
                continue
            self.overruled.emit(position, case_id, case_id in one.paired.flips_down)
            return

    def _go(self, step: int) -> None:
        rows = sorted(self.matrix.row_of(case_id) for case_id in self._flips())
        current = self.table.currentIndex().row()
        ahead = [row for row in rows if (row > current if step > 0 else row < current)]
        if not rows:
            return
        row = (ahead[0] if step > 0 else ahead[-1]) if ahead else rows[0 if step > 0 else -1]
        self.table.setCurrentIndex(self.matrix.index(row, 0))
        self.table.setFocus()

    def _flips(self) -> set[str]:
        return {
            case_id
            for one in self._summaries
            if one.paired is not None
            for case_id in (*one.paired.flips_down, *one.paired.flips_up)
        }

    @Slot()
    def _show_current(self) -> None:
        case_id = self.matrix.case_id(self.table.currentIndex().row())
        self.answers.show_case(self._evaluation, case_id)

    @Slot(int, bool)
    def _overruled(self, position: int, right: bool) -> None:
        case_id = self.matrix.case_id(self.table.currentIndex().row())
        if case_id:
            self.overruled.emit(position, case_id, right)
