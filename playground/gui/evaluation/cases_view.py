"""The page of a suite's cases: the table, what all cases share, and a grader tried live."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHeaderView,
    QLineEdit,
    QSplitter,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from playground.core.errors import PlaygroundError
from playground.evaluation.case import Case, GraderKind, Suite
from playground.evaluation.suites.cases import cases_of
from playground.evaluation.suites.table import parse_csv
from playground.gui.evaluation.cases_model import GRADER, INPUT, CasesModel
from playground.gui.evaluation.grader_trial import GraderTrial
from playground.gui.toolkit.drops import accept_copy
from playground.gui.toolkit.fields import ComboBox
from playground.gui.toolkit.text_table import dress_table
from playground.gui.toolkit.widgets import (
    h_box,
    label_for,
    muted_label,
    push_button,
    set_name,
    spin_box,
    v_box,
)

#: How long (ms) after a change of the options they are taken.
_TYPING_MS = 300
_MOST_PASTED = 10_000_000  # characters


class CasesTable(QTableView):
    """Shows a CasesModel; Delete removes rows, Ctrl+V pastes rows of a spreadsheet."""

    removeRequested = Signal()
    pasteRequested = Signal()

    def __init__(self, model: CasesModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setModel(model)
        dress_table(self, "Cases")
        self.setAccessibleDescription(
            "Enter or F2 edits a cell, Delete removes cases, Ctrl+V pastes rows of a spreadsheet"
        )
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
            | QAbstractItemView.EditTrigger.AnyKeyPressed
        )
        self.setTabKeyNavigation(True)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectItems)
        self.verticalHeader().show()
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(INPUT, QHeaderView.ResizeMode.Stretch)
        for column, width in ((1, 150), (2, 120), (3, 120), (4, 90)):
            header.resizeSection(column, width)
        self.setItemDelegateForColumn(GRADER, _GraderDelegate(self))

    def selected_rows(self) -> list[int]:
        """Return the rows with a selected cell."""
        return sorted({index.row() for index in self.selectedIndexes()})

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Paste):
            event.accept()
            self.pasteRequested.emit()
        elif event.matches(QKeySequence.StandardKey.Delete):
            event.accept()
            self.removeRequested.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            event.accept()
            if self.state() is not QAbstractItemView.State.EditingState:
                self.edit(self.currentIndex())
        else:
            super().keyPressEvent(event)


class _GraderDelegate(QStyledItemDelegate):
    """Offers the graders; options can be typed behind them."""

    def createEditor(
        self,
        parent: QWidget,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> QWidget:
        box = ComboBox(parent)
        box.setEditable(True)
        box.addItems([kind.value for kind in GraderKind])
        box.setAccessibleName("Grader")
        return box

    def setEditorData(self, editor: QWidget, index: QModelIndex | QPersistentModelIndex) -> None:
        if isinstance(editor, ComboBox):
            editor.setEditText(str(index.data(Qt.ItemDataRole.EditRole) or ""))

    def setModelData(
        self,
        editor: QWidget,
        model: object,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        if isinstance(editor, ComboBox) and isinstance(model, CasesModel):
            model.setData(index, editor.currentText())


class CasesView(QWidget):
    """Draws; a controller keeps the suite. `filesDropped` carries Paths."""

    filesDropped = Signal(object)
    removed = Signal(object)  # what CasesModel.restore takes
    told = Signal(str)  # a sentence for the user
    options_edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self.cases = CasesModel()
        self.table = CasesTable(self.cases)
        self.trial = GraderTrial()
        self._typing = QTimer(self, singleShot=True, interval=_TYPING_MS)
        self._typing.timeout.connect(self.options_edited)
        self._build()
        self.table.removeRequested.connect(self.remove_selected)
        self.table.pasteRequested.connect(self.paste)
        self.cases.refused.connect(self.told)
        self.table.selectionModel().currentChanged.connect(self._show_current)
        self.cases.dataChanged.connect(self._show_current)

    def _build(self) -> None:
        self.add_button = push_button("&Add", "Add a case")
        self.add_button.clicked.connect(self.add_case)
        self.paste_button = push_button("&Paste", "Paste rows from a spreadsheet")
        self.paste_button.clicked.connect(self.paste)
        self.remove_button = push_button("&Remove", "Remove the selected cases")
        self.remove_button.clicked.connect(self.remove_selected)
        self.copy_button = push_button("&Copy to edit", "Make a suite of your own of these cases")
        self.count = muted_label("")
        buttons = h_box(
            self.add_button, self.paste_button, self.remove_button, self.copy_button, self.count
        )
        buttons.addStretch(1)
        self.chat = QCheckBox("&Chat")
        self.chat.setToolTip("Ask in the model's chat template; otherwise the text is continued")
        self.new_tokens = spin_box("New tokens", "The longest answer", (1, 1_000_000), 16)
        self.template = QLineEdit()
        self.template.setPlaceholderText("{{input}}")
        set_name(self.template, "Template")
        self.template.setToolTip("The prompt of a case; {{column}} stands for its value")
        self.stop = QLineEdit()
        self.stop.setPlaceholderText(r"e.g. \n | END")
        set_name(self.stop, "Stop strings")
        options = h_box(
            self.chat,
            label_for("New &tokens", self.new_tokens),
            self.new_tokens,
            label_for("Te&mplate", self.template),
            self.template,
            label_for("St&op", self.stop),
            self.stop,
        )
        options.setStretch(4, 3)
        options.setStretch(6, 1)
        self.chat.toggled.connect(self._typing.start)
        self.new_tokens.valueChanged.connect(self._typing.start)
        self.template.textEdited.connect(self._typing.start)
        self.stop.textEdited.connect(self._typing.start)
        split = QSplitter(Qt.Orientation.Vertical)
        split.setChildrenCollapsible(False)
        split.addWidget(self.table)
        split.addWidget(self.trial)
        split.setStretchFactor(0, 1)
        split.setSizes([420, 110])
        column = v_box(self, spacing=8)
        column.addLayout(buttons)
        column.addLayout(options)
        column.addWidget(split, 1)

    def show_suite(self, suite: Suite, *, editable: bool) -> None:
        """Show a suite's cases and options."""
        self.cases.set_cases(suite.cases, editable=editable)
        for widget in (self.chat, self.new_tokens, self.template, self.stop):
            widget.blockSignals(True)
        self.chat.setChecked(suite.chat)
        self.new_tokens.setValue(suite.max_new_tokens)
        self.template.setText(_one_line(suite.template))
        self.stop.setText(" | ".join(_one_line(one) for one in suite.stop))
        for widget in (self.chat, self.new_tokens, self.template, self.stop):
            widget.blockSignals(False)
            widget.setEnabled(editable)
        for button in (self.add_button, self.paste_button, self.remove_button):
            button.setEnabled(editable)
        self.copy_button.setVisible(not editable)
        self.show_count()
        self.table.setCurrentIndex(self.cases.index(0, 0))

    def show_count(self) -> None:
        """Show how many cases there are."""
        count = len(self.cases.cases)
        self.count.setText("1 case" if count == 1 else f"{count:,} cases")

    def options(self) -> tuple[bool, int, str, tuple[str, ...]]:
        """Return chat, new tokens, template and stop strings as they are set."""
        stop = tuple(_escaped(part.strip(" ")) for part in self.stop.text().split("|"))
        return (
            self.chat.isChecked(),
            self.new_tokens.value(),
            _escaped(self.template.text()) or "{{input}}",
            tuple(one for one in stop if one),
        )

    @Slot()
    def add_case(self) -> None:
        """Edit the row that becomes a new case."""
        index = self.cases.index(len(self.cases.cases), INPUT)
        self.table.setCurrentIndex(index)
        self.table.edit(index)

    @Slot()
    def paste(self) -> None:
        """Add the clipboard's rows: with a first row of names, or input and target."""
        if not self.cases.editable:
            return
        text = QGuiApplication.clipboard().text()[:_MOST_PASTED]
        if not text.strip():
            self.told.emit("The clipboard holds no text.")
            return
        try:
            self.cases.add(pasted(text))
        except PlaygroundError as error:
            self.told.emit(str(error))
            return
        self.show_count()

    @Slot()
    def remove_selected(self) -> None:
        """Remove the selected cases; `removed` carries them, for undo."""
        removed = self.cases.remove(self.table.selected_rows()) if self.cases.editable else []
        if removed:
            self.show_count()
            self.removed.emit(removed)

    @Slot()
    def _show_current(self) -> None:
        row = self.table.currentIndex().row()
        known = 0 <= row < len(self.cases.cases)
        self.trial.show_case(self.cases.cases[row] if known else None)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            accept_copy(event)

    def dropEvent(self, event: QDropEvent) -> None:
        accept_copy(event)
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            self.filesDropped.emit(paths)


def pasted(text: str) -> Sequence[Case]:
    """Return the cases of text from a spreadsheet. Raises PlaygroundError.

    Without a first row of names the first column is the input and the second the target.
    """
    first = next(iter(text.splitlines()), "").lower()
    names = first.replace(",", "\t").replace(";", "\t").split("\t")
    if "input" not in [name.strip(' "') for name in names]:
        cells = 1 + max(line.count("\t") for line in text.splitlines())
        columns = ("input", "target", "grader", "choices", "group")[:cells]
        text = "\t".join(columns) + "\n" + text
        if len(columns) == 1:
            # Commas of a single column are no separators.
            lines = [line for line in text.splitlines()[1:] if line.strip()]
            return [Case(id="", input=line) for line in lines]
    return cases_of(parse_csv(text, "The clipboard"), None)


def _one_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", r"\n").replace("\t", r"\t")


def _escaped(text: str) -> str:
    parts = text.split("\\\\")
    return "\\".join(part.replace(r"\n", "\n").replace(r"\t", "\t") for part in parts)
