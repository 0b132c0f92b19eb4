"""The History window: search and filters, the list of runs, the selected run, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QDialog,
    QLineEdit,
    QPushButton,
    QSplitter,
    QWidget,
)

from playground.core.precision import Precision
from playground.gui.history.run_view import RunView
from playground.gui.history.runs_table import RunsTable
from playground.gui.history.source import Filters
from playground.gui.history.text import model_name
from playground.gui.toolkit.fields import ComboBox
from playground.gui.toolkit.file_dialog import file_dialog, save_dialog
from playground.gui.toolkit.widgets import (
    announce,
    fill_combo,
    h_box,
    muted_label,
    push_button,
    set_name,
    v_box,
)
from playground.history.report.files import FORMATS

#: How long (ms) after the last key a search begins.
_SEARCH_MS = 120
BUNDLE = {".zip": "Run bundle"}


class HistoryDialog(QDialog):
    """Draws; a HistoryController reads the history and carries out what is requested."""

    filtersChanged = Signal(object)  # Filters
    openRequested = Signal()  # here and below: of the selected runs
    runRequested = Signal()
    deleteRequested = Signal()
    undoRequested = Signal()
    reportRequested = Signal(object, str)  # a Path, and one of FORMATS
    exportRequested = Signal(object)  # a Path, here and below
    importRequested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("History")
        self.resize(1200, 640)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search in prompts and answers")
        self.search.setClearButtonEnabled(True)
        set_name(self.search, "Search in prompts and answers")
        self.model = ComboBox()
        fill_combo(self.model, "Model", [("Any model", "")])
        self.model.setSizeAdjustPolicy(
            ComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.precision = ComboBox()
        precisions = [(one.short_label, one.value) for one in Precision]
        fill_combo(self.precision, "Precision", [("Any precision", ""), *precisions])
        self.table = RunsTable()
        self.count = muted_label("")
        self.run = RunView()
        self._typing = QTimer(self, singleShot=True, interval=_SEARCH_MS)
        self._typing.timeout.connect(self._filter)
        self.search.textChanged.connect(self._typed)
        self.search.returnPressed.connect(self.table.setFocus)
        self.model.activated.connect(self._filter)
        self.precision.activated.connect(self._filter)
        self.table.openRequested.connect(self.openRequested)
        self.table.deleteRequested.connect(self.deleteRequested)
        self._make_buttons()
        self._place()
        for keys, do in (
            (QKeySequence.StandardKey.Find, self._focus_search),
            (QKeySequence.StandardKey.Undo, self.undoRequested.emit),
        ):
            shortcut = QShortcut(keys, self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(do)
        self.enable(0)
        self.search.setFocus()

    def filters(self) -> Filters:
        """Return what is searched for."""
        precision = self.precision.currentData()
        return Filters(
            self.search.text(),
            self.model.currentData(),
            Precision(precision) if precision else None,
        )

    def show_models(self, models: Sequence[str]) -> None:
        """Offer these models as a filter; the one chosen stays chosen."""
        chosen = self.model.currentData()
        if [self.model.itemData(n) for n in range(1, self.model.count())] == list(models):
            return
        self.model.clear()
        self.model.addItem("Any model", "")
        for model in models:
            self.model.addItem(model_name(model), model)
            self.model.setItemData(self.model.count() - 1, model, Qt.ItemDataRole.ToolTipRole)
        self.model.setCurrentIndex(max(0, self.model.findData(chosen)))

    def show_count(self, text: str) -> None:
        """Show how many runs were found, or what has been done with them."""
        self.count.setText(text)
        announce(self, text)

    def enable(self, selected: int) -> None:
        """Enable what can be done with so many runs."""
        for button in (self.open_button, self.run_button, self.export_button):
            button.setEnabled(selected == 1)
        self.report_button.setEnabled(selected in (1, 2))
        self.delete_button.setEnabled(selected > 0)

    # Internals

    def _make_buttons(self) -> None:
        self.open_button = _button("&Open as lanes", "Show its lanes, prompt, texts and figures")
        self.run_button = _button("Run a&gain", "Open it as lanes and run its prompt again")
        self.report_button = _button("Save &report…", "Save a report as HTML, Markdown or JSON")
        self.export_button = _button("E&xport…", "Save the run as a file that opens elsewhere")
        self.import_button = _button("&Import…", "Open a run that was exported elsewhere")
        self.delete_button = _button("&Delete", "Delete the selected runs (Ctrl+Z: undo)")
        self.close_button = _button("&Close", "Close this window (Esc)")
        self.open_button.clicked.connect(self.openRequested)
        self.run_button.clicked.connect(self.runRequested)
        self.report_button.clicked.connect(self._ask_report)
        self.export_button.clicked.connect(self._ask_export)
        self.import_button.clicked.connect(self._ask_import)
        self.delete_button.clicked.connect(self.deleteRequested)
        self.close_button.clicked.connect(self.reject)

    def _place(self) -> None:
        left = QWidget()
        column = v_box(left, spacing=6)
        column.addWidget(self.search)
        filters = h_box(self.model, self.precision)
        filters.setStretch(0, 1)
        filters.setStretch(1, 1)
        column.addLayout(filters)
        column.addWidget(self.table, 1)
        column.addWidget(self.count)
        halves = QSplitter(Qt.Orientation.Horizontal)
        halves.setHandleWidth(12)
        halves.setChildrenCollapsible(False)
        halves.addWidget(left)
        halves.addWidget(self.run)
        halves.setSizes([560, 620])
        buttons = h_box(
            self.open_button,
            self.run_button,
            self.report_button,
            self.export_button,
            self.import_button,
            self.delete_button,
            self.close_button,
        )
        buttons.insertStretch(6, 1)
        whole = v_box(self, margin=16, spacing=12)
        whole.addWidget(halves, 1)
        whole.addLayout(buttons)

    @Slot()
    def _typed(self) -> None:
        self._typing.start()

    @Slot()
    def _filter(self) -> None:
        self._typing.stop()
        self.filtersChanged.emit(self.filters())

    @Slot()
    def _focus_search(self) -> None:
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    @Slot()
    def _ask_report(self) -> None:
        save_dialog(self, "Save a report", "report", FORMATS, self.reportRequested.emit).open()

    @Slot()
    def _ask_export(self) -> None:
        save_dialog(self, "Export the run", "run", BUNDLE, self._export).open()

    def _export(self, path: Path, _: str) -> None:
        self.exportRequested.emit(path)

    @Slot(str)
    def _import(self, name: str) -> None:
        self.importRequested.emit(Path(name))

    @Slot()
    def _ask_import(self) -> None:
        dialog = file_dialog(self, "Import a run", self._import)
        dialog.setNameFilters(["Run bundle (*.zip)", "All files (*)"])
        dialog.open()


def _button(text: str, tip: str) -> QPushButton:
    button = push_button(text, tip)
    button.setAutoDefault(False)  # Enter belongs to the list and the search
    return button
