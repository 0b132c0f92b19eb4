"""The founding comparison's dialog: start, progress, and medians beside the published figures."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from playground.core import founding
from playground.core.format import device_label
from playground.core.lane import LaneConfig
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.text import disturbance_text
from playground.gui.reference import table as founding_table
from playground.gui.reference.controller import FoundingController
from playground.gui.toolkit.screen import open_at_size
from playground.gui.toolkit.text_table import dress_table
from playground.gui.toolkit.widgets import label_for, plain_label, spin_box


class FoundingDialog(QDialog):
    """Measures the model and device of one lane. Closing the dialog cancels the measurement."""

    def __init__(
        self, lanes: LanesController, base: LaneConfig, model: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("The founding comparison")
        open_at_size(self, 1000, 420)
        self._base = base
        self._model = model
        self.measurement = FoundingController(lanes, self)
        self.measurement.progressed.connect(self._progressed)
        self.measurement.measured.connect(self._show)
        self.measurement.finished.connect(self._finished)
        self._build()
        self._show()

    def done(self, result: int) -> None:
        """Cancel a measurement under way, end the engines created for it, and close."""
        self.measurement.cancel()
        self.measurement.release()
        super().done(result)

    @Slot()
    def start(self) -> None:
        """Start a measurement, or cancel the one under way."""
        if self.measurement.running:
            self.measurement.cancel()
            return
        self.note.clear()
        self.start_button.setText("&Cancel")
        self.repeats.setEnabled(False)
        self.copy_button.setEnabled(False)
        self.measurement.start(self._base, self.repeats.value())

    @Slot()
    def copy(self) -> None:
        """Copy the table and its conditions to the clipboard."""
        table = founding_table.rows(self.measurement.answers)
        QGuiApplication.clipboard().setText(founding_table.as_text(table, self._conditions()))
        self.note.setText("The table was copied.")

    def _build(self) -> None:
        options = founding.OPTIONS
        what = _plain(
            f"“{founding.PROMPT.text}” with {options.max_new_tokens} new tokens, greedy, on "
            f"{self._model} ({device_label(self._base.device)}): bf16, int8 and GPTQ in "
            "alternating order after an uncounted warm-up."
        )
        allowed = (founding.MIN_REPEATS, 1000)
        self.repeats = spin_box("Repeats", "How often each precision is measured", allowed, 1)
        label = label_for("&Repeats", self.repeats)
        self.start_button = QPushButton("&Start")
        self.start_button.setProperty("kind", "primary")
        self.start_button.setDefault(True)
        self.start_button.setMinimumWidth(120)  # wide enough for its later texts
        self.start_button.clicked.connect(self.start)
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the measurement")
        self.progress.setTextVisible(False)
        self.table = QTableWidget(len(founding.PRECISIONS), len(founding_table.HEADER))
        for place, text in enumerate(founding_table.HEADER):
            head = QTableWidgetItem(text)
            head.setTextAlignment(_alignment(place))
            self.table.setHorizontalHeaderItem(place, head)
        dress_table(self.table, "Medians beside the published figures")
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.note = _plain("")
        caveat = _plain(f"Published: {founding.SOURCE}. {founding.CAVEAT}")
        caveat.setProperty("tone", "muted")
        self.copy_button = QPushButton("C&opy the table")
        self.copy_button.setEnabled(False)
        self.copy_button.clicked.connect(self.copy)
        close = QPushButton("C&lose")
        close.clicked.connect(self.reject)

        above = QHBoxLayout()
        above.addWidget(label)
        above.addWidget(self.repeats)
        above.addWidget(self.progress, 1)
        above.addWidget(self.start_button)
        below = QHBoxLayout()
        below.addWidget(self.note, 1)
        below.addWidget(self.copy_button)
        below.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(what)
        column.addLayout(above)
        column.addWidget(self.table, 1)
        column.addWidget(caveat)
        column.addLayout(below)

    @Slot(int, int, str)
    def _progressed(self, done: int, total: int, what: str) -> None:
        self.progress.setMaximum(total)
        self.progress.setValue(done)
        if what:
            self.note.setText(f"{what} · {done} of {total}")

    @Slot()
    def _show(self) -> None:
        for number, row in enumerate(founding_table.rows(self.measurement.answers)):
            for column, text in enumerate(row.cells()):
                item = QTableWidgetItem(text)
                item.setTextAlignment(_alignment(column))
                self.table.setItem(number, column, item)

    @Slot(str)
    def _finished(self, why: str) -> None:
        self.start_button.setText("&Start again")
        self.repeats.setEnabled(True)
        measured = any(self.measurement.answers.values())
        self.copy_button.setEnabled(measured)
        self.note.setText(why or self._conditions())
        self._show()

    def _conditions(self) -> str:
        stamps = [a[0].stamp for a in self.measurement.answers.values() if a]
        counts = {len(answers) for answers in self.measurement.answers.values()}
        if not stamps:
            return ""
        stamp = stamps[0]
        kernels = ", ".join(dict.fromkeys(s.kernel for s in stamps))
        every = [a.stamp for answers in self.measurement.answers.values() for a in answers]
        disturbed = dict.fromkeys(text for s in every for text in s.disturbed_by)
        return (
            f"Measured: {stamp.model} on {stamp.device_name}, threads: {stamp.threads}; kernels: "
            f"{kernels}; medians of {'–'.join(str(n) for n in sorted(counts))} runs."
            + (f" Some runs were {disturbance_text(tuple(disturbed))}." if disturbed else "")
        )


def _alignment(column: int) -> Qt.AlignmentFlag:
    """Align figures to the right, the first and the last column to the left."""
    named = column in (0, len(founding_table.HEADER) - 1)
    side = Qt.AlignmentFlag.AlignLeft if named else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter


def _plain(text: str) -> QLabel:
    label = plain_label(text, wrap=True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
