"""The evaluation workspace: suites and evaluations on the left, cases and results beside them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from playground.evaluation.case import Suite
from playground.evaluation.store.records import EvaluationState, KeptEvaluation
from playground.evaluation.suites.named import STARTER
from playground.gui.evaluation.cases_view import CasesView
from playground.gui.evaluation.controller import EvaluationController
from playground.gui.evaluation.library import Listed
from playground.gui.evaluation.results_view import ResultsView
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.file_dialog import file_dialog, save_dialog
from playground.gui.toolkit.screen import open_at_size
from playground.gui.toolkit.segments import Segments
from playground.gui.toolkit.widgets import (
    announce,
    h_box,
    plain_label,
    push_button,
    set_kind,
    v_box,
)

_ROLE = Qt.ItemDataRole.UserRole
FORMATS = {
    ".html": "Report, one page",
    ".md": "Report in Markdown",
    ".zip": "Everything, with the answers",
    ".jsonl": "Answers and grades",
    ".csv": "Outcomes, a row a case",
}
_START = "Ask every contestant (Ctrl+Enter)"
_TONES = {"warning": "warning", "error": "danger"}


class EvaluationWindow(QWidget):
    """Places the views and passes on what the user asks for."""

    offerRequested = Signal()  # the contestants shall be the lanes of the main window

    def __init__(self, evaluation: EvaluationController, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("Evaluate")
        open_at_size(self, 1180, 700)
        self.evaluation = evaluation
        self.cases = CasesView()
        self.results = ResultsView()
        self._removed: object = None  # what the last removal of cases took away
        self._build()
        self._connect()
        evaluation.list_all()
        self._show_state()

    def _build(self) -> None:
        self.list = QTreeWidget()
        self.list.setHeaderHidden(True)
        self.list.setAccessibleName("Suites and evaluations")
        self.list.setAccessibleDescription("Enter opens, Delete removes an evaluation")
        self.list.setMinimumWidth(200)
        self.new_button = push_button("&New suite", "Begin a suite of your own")
        self.open_button = push_button("&Open…", "Open a CSV or JSONL file")
        self.plan = ElidedLabel()
        self.plan.setAccessibleName("The plan")
        self.contestants = QToolButton()
        self.contestants.setText("Con&testants")
        self.contestants.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.contestants.setToolTip("Which models and precisions are asked")
        self._contestants = QMenu(self.contestants)
        self.contestants.setMenu(self._contestants)
        self.start_button = push_button(
            "&Start", "Ask every contestant (Ctrl+Enter)", kind="primary"
        )
        self.pause_button = push_button("Pa&use", "Pause after the answers under way (Esc)")
        self.resume_button = push_button("Res&ume", "Go on with what is shown")
        self.pages = Segments(
            "Page",
            [
                ("cases", "Cases", "The suite's cases"),
                ("results", "Results", "Verdicts, outcomes and flips"),
            ],
        )
        self.note = plain_label(wrap=True)
        self.note.hide()
        self.undo_button = push_button("&Undo", "Put the removed cases back")
        self.undo_button.hide()
        self.stack = QStackedWidget()
        self.stack.addWidget(self.cases)
        self.stack.addWidget(self.results)

        left = QWidget()
        side = QVBoxLayout(left)
        side.setContentsMargins(0, 0, 0, 0)
        side.addWidget(self.list, 1)
        side.addLayout(h_box(self.new_button, self.open_button))
        right = QWidget()
        body = v_box(right, spacing=8)
        head = QHBoxLayout()
        head.addWidget(self.pages)
        head.addWidget(self.plan, 1)
        head.addWidget(self.contestants)
        head.addWidget(self.resume_button)
        head.addWidget(self.pause_button)
        head.addWidget(self.start_button)
        body.addLayout(head)
        message = h_box(self.note, self.undo_button)
        message.setStretch(0, 1)
        body.addLayout(message)
        body.addWidget(self.stack, 1)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.setChildrenCollapsible(False)
        split.addWidget(left)
        split.addWidget(right)
        split.setStretchFactor(1, 1)
        split.setSizes([230, 950])
        column = v_box(self, margin=12)
        column.addWidget(split)

    def _connect(self) -> None:
        ours = self.evaluation
        self.list.itemActivated.connect(self._open_item)
        self.new_button.clicked.connect(self._new_suite)
        self.open_button.clicked.connect(self._ask_file)
        self.pages.chosen.connect(self._show_page)
        self.start_button.clicked.connect(self._start)
        self.pause_button.clicked.connect(ours.pause)
        self.resume_button.clicked.connect(ours.resume)
        self.undo_button.clicked.connect(self._undo)
        self._contestants.aboutToShow.connect(self._fill_contestants)
        self.cases.cases.edited.connect(self._cases_edited)
        self.cases.options_edited.connect(self._options_edited)
        self.cases.copy_button.clicked.connect(ours.copy_suite)
        self.cases.filesDropped.connect(self._dropped)
        self.cases.removed.connect(self._offer_undo)
        self.cases.told.connect(self._tell)
        self.results.overruled.connect(ours.overrule)
        self.results.reportRequested.connect(self._ask_report)
        ours.listed.connect(self._show_listed)
        ours.suite_shown.connect(self._show_suite)
        ours.evaluation_shown.connect(self._show_evaluation)
        ours.progressed.connect(self._show_progress)
        ours.state_changed.connect(self._show_state)
        ours.notify.message.connect(self._show_message)  # the main window's bar may be behind
        for keys, do in (
            ("Ctrl+Return", self._start),
            ("Ctrl+Enter", self._start),
            ("Esc", ours.pause),
            ("Ctrl+Z", self._undo),
            ("Ctrl+N", self._new_suite),
            ("Ctrl+O", self._ask_file),
            ("F6", self._other_page),
        ):
            QShortcut(QKeySequence(keys), self, do)
        delete = QShortcut(QKeySequence.StandardKey.Delete, self.list)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(self._delete_item)

    # Shown

    @Slot(object)
    def _show_listed(self, found: Listed) -> None:
        current = self.list.currentItem()
        chosen = current.data(0, _ROLE) if current is not None else None
        self.list.clear()
        self._group("My suites", [(path.stem, str(path)) for path in found.suites])
        shipped = [("Starter, thirty cases", STARTER), *((name, name) for name in found.benchmarks)]
        self._group("Ready-made", shipped)
        earlier = [
            (f"{row.suite}, {_when(row.created)} ({row.state.value})", row.id)
            for row in found.evaluations[:50]
        ]
        self._group("Evaluations", earlier)
        self.list.expandAll()
        for item in self._items():
            if chosen is not None and item.data(0, _ROLE) == chosen:
                self.list.setCurrentItem(item)
        if found.problem:
            self._tell(found.problem)

    def _group(self, title: str, entries: Sequence[tuple[str, object]]) -> None:
        group = QTreeWidgetItem([title])
        group.setFlags(Qt.ItemFlag.ItemIsEnabled)
        self.list.addTopLevelItem(group)
        for text, data in entries:
            item = QTreeWidgetItem([text])
            item.setData(0, _ROLE, data)
            item.setToolTip(0, str(text))
            group.addChild(item)

    def _items(self) -> list[QTreeWidgetItem]:
        groups = [self.list.topLevelItem(n) for n in range(self.list.topLevelItemCount())]
        found = [group.child(n) for group in groups if group for n in range(group.childCount())]
        return [item for item in found if item is not None]

    @Slot(object, bool)
    def _show_suite(self, suite: Suite, editable: bool) -> None:
        self.cases.show_suite(suite, editable=editable)
        self._go_to("cases")

    @Slot(object)
    def _show_evaluation(self, evaluation: KeptEvaluation | None) -> None:
        self.results.show_evaluation(evaluation)
        if evaluation is not None:
            self._go_to("results")

    @Slot(object)
    def _show_progress(self, case_ids: set[str]) -> None:
        self.results.refresh(case_ids, estimate=not self.evaluation.running)

    @Slot()
    def _show_state(self) -> None:
        ours = self.evaluation
        self.plan.set_full_text(ours.plan_text())
        reason = ours.reason_not_to_start()
        self.start_button.setEnabled(not reason)
        self.start_button.setToolTip(reason or _START)
        self.pause_button.setVisible(ours.running)
        shown = ours.evaluation
        unfinished = shown is not None and shown.state in (
            EvaluationState.PAUSED,
            EvaluationState.INTERRUPTED,
        )
        self.resume_button.setVisible(unfinished and not ours.running)
        self.contestants.setEnabled(not ours.running)

    @Slot()
    def _fill_contestants(self) -> None:
        self._contestants.clear()
        for position, config in enumerate(self.evaluation.contestants):
            name = config.model.source.rstrip("/").rpartition("/")[2] or "the server's model"
            action = self._contestants.addAction(f"{name} · {config.how}")
            action.setCheckable(True)
            action.setChecked(position in self.evaluation.chosen)
            action.toggled.connect(partial(self.evaluation.choose, position))
        self._contestants.addSeparator()
        self._contestants.addAction("Take the &lanes of the window").triggered.connect(
            self.offerRequested
        )

    @Slot(str, str, str)
    def _show_message(self, text: str, level: str, remedy: str) -> None:
        self._tell(f"{text} {remedy}".strip(), _TONES.get(level, ""))

    def _tell(self, text: str, tone: str = "") -> None:
        self.undo_button.hide()
        self.note.setText(text)
        set_kind(self.note, "tone", tone)
        self.note.setVisible(bool(text))
        announce(self, text)

    # Requested

    @Slot(str)
    def _show_page(self, page: str) -> None:
        self.stack.setCurrentIndex(int(page == "results"))

    def _go_to(self, page: str) -> None:
        self.pages.set_value(page)
        self._show_page(page)

    @Slot()
    def _other_page(self) -> None:
        self._go_to("cases" if self.pages.value() == "results" else "results")

    @Slot()
    def _start(self) -> None:
        self.note.hide()
        self.cases.table.setFocus()  # an open editor gives its value
        self.evaluation.start()

    @Slot()
    def _new_suite(self) -> None:
        self.evaluation.new_suite()
        self.cases.add_case()

    @Slot(QTreeWidgetItem, int)
    def _open_item(self, item: QTreeWidgetItem, column: int) -> None:
        data = item.data(0, _ROLE)
        if isinstance(data, int):
            self.evaluation.open_evaluation(data)
        elif data:
            self.evaluation.open_suite(data)

    @Slot()
    def _delete_item(self) -> None:
        current = self.list.currentItem()
        if current is not None and isinstance(current.data(0, _ROLE), int):
            self.evaluation.delete(current.data(0, _ROLE))

    @Slot()
    def _ask_file(self) -> None:
        dialog = file_dialog(self, "Open a suite", self.evaluation.open_suite)
        dialog.setNameFilter("Suites (*.csv *.jsonl)")
        dialog.open()

    @Slot(object)
    def _dropped(self, paths: list[Path]) -> None:
        self.evaluation.open_suite(str(paths[0]))
        if len(paths) > 1:
            self._tell("The first file is opened; a suite is one file.")

    @Slot()
    def _ask_report(self) -> None:
        shown = self.evaluation.evaluation
        if shown is not None:
            name = f"{Path(shown.suite.name).stem.replace('/', '-')}.html"
            save_dialog(
                self, "Save the report", name, FORMATS, lambda path, _: self._save_report(path)
            ).open()

    def _save_report(self, path: Path) -> None:
        self.evaluation.save_report(path)

    @Slot()
    def _cases_edited(self) -> None:
        self.evaluation.edit_cases(self.cases.cases.cases)
        self.cases.show_count()

    @Slot()
    def _options_edited(self) -> None:
        self.evaluation.edit_options(*self.cases.options())

    @Slot(object)
    def _offer_undo(self, removed: list[object]) -> None:
        count = len(removed)
        self._tell("1 case was removed." if count == 1 else f"{count:,} cases were removed.")
        self._removed = removed
        self.undo_button.show()

    @Slot()
    def _undo(self) -> None:
        removed, self._removed = self._removed, None
        if removed:
            self.cases.cases.restore(removed)  # type: ignore[arg-type]  # what `remove` returned
            self.note.hide()
            self.undo_button.hide()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.evaluation.save()
        super().closeEvent(event)


def _when(created: float) -> str:
    return datetime.fromtimestamp(created).strftime("%d %b %H:%M")
