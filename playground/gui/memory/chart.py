"""Whether a model fits: a bar for every precision against what is free, and the same as figures."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from playground.core.format import size_text
from playground.core.memory.plan import Fit
from playground.core.memory.table import MemoryRow, MemoryTable
from playground.core.precision import Precision
from playground.gui.memory.bars import ITEM_NAMES, FitBar, FitKey, items_text
from playground.gui.memory.text import FitFigures, longest_text
from playground.gui.toolkit.segments import Segments
from playground.gui.toolkit.widgets import muted_label, plain_tip, set_kind, set_name

_TONES = {Fit.FITS: "success", Fit.TIGHT: "warning", Fit.TOO_LARGE: "danger"}
_STEP = 512  # tokens
#: A bar that is so many times what is free is cut: the others could not be told apart.
_MOST = 2.0
#: Where the longest bar is less than this part of what is free, the line is out of sight: the
#: items of a small model could not be seen.
_LEAST_FILL = 3
_TYPING_MS = 250


class FitChart(QWidget):
    """Shows a MemoryTable. `context_changed` carries tokens, `device_changed` a device's id."""

    context_changed = Signal(int)
    device_changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Memory at every precision")
        self.table: MemoryTable | None = None
        self._devices: tuple[tuple[str, str], ...] = ()
        self._typing = QTimer(self, singleShot=True, interval=_TYPING_MS)
        self._typing.timeout.connect(self._tell_context)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(self._controls())
        self._message = muted_label("", wrap=True)
        self.bars = self._bars()
        self.figures = FitFigures()
        self._notes = muted_label("", wrap=True)
        for widget in (self._message, self.bars, self.figures, self._notes):
            column.addWidget(widget)
        column.addStretch(1)
        self.show_message("")

    # What it shows

    def show_devices(self, devices: Sequence[tuple[str, str]], current: str) -> None:
        """Offer devices as (id, name); with one there is nothing to choose."""
        if tuple(devices) != self._devices:
            self._devices = tuple(devices)
            self.device.blockSignals(True)
            self.device.clear()
            for id_, name in devices:
                self.device.addItem(f"{id_}: {name}" if name else id_, id_)
            self.device.blockSignals(False)
        self.device.blockSignals(True)
        self.device.setCurrentIndex(max(0, self.device.findData(current)))
        self.device.blockSignals(False)
        self._device_label.setVisible(len(self._devices) > 1)
        self.device.setVisible(len(self._devices) > 1)

    def show_message(self, text: str, tone: str = "muted") -> None:
        """Show a sentence instead of the chart."""
        self.table = None
        set_kind(self._message, "tone", tone)
        self._message.setText(text)
        self._arrange()

    def show_table(self, table: MemoryTable) -> None:
        """Show all precisions of a model."""
        self.table = table
        if not self._typing.isActive():
            self.context.blockSignals(True)
            self.context.setRange(1, table.most_context)
            self.context.setValue(table.context)
            self.context.blockSignals(False)
        self.context.setAccessibleDescription(f"1 to {table.most_context:,} tokens")
        full = _full(table)
        for row in table.rows:
            self._rows[row.precision].show_row(row, table.free, full)
        self.figures.show_table(table)
        self._free.setText(_free_text(table))
        self._notes.setText(_notes(table))
        self._arrange()

    def text(self) -> str:
        """All that the chart says, a precision a line."""
        if self.table is None:
            return self._message.text()
        rows = [row.spoken() for row in self._rows.values() if row.shown]
        return "\n".join([self._free.text(), *rows, self._notes.text()])

    # What it is made of

    def _controls(self) -> QHBoxLayout:
        self.context = QSpinBox()
        self.context.setRange(1, 2**20)
        self.context.setSingleStep(_STEP)
        self.context.setGroupSeparatorShown(True)
        self.context.setSuffix(" tokens")
        set_name(self.context, "Context: prompt and answer together")
        self.context.setToolTip("Prompt and answer together; the cache grows with it")
        self.context.valueChanged.connect(self._typing.start)
        room = self.context.fontMetrics().horizontalAdvance("1,048,576 tokens")
        self.context.setMinimumWidth(room + 48)
        label = QLabel("Conte&xt")
        label.setBuddy(self.context)
        self.device = QComboBox()
        set_name(self.device, "Device")
        self.device.currentIndexChanged.connect(self._tell_device)
        self._device_label = QLabel("De&vice")
        self._device_label.setBuddy(self.device)
        self.side = Segments(
            "Show",
            (
                ("chart", "Cha&rt", "A bar for every precision"),
                ("figures", "Fi&gures", "Every item as a number"),
            ),
        )
        self.side.chosen.connect(self._arrange)
        row = QHBoxLayout()
        row.setSpacing(8)
        for widget in (label, self.context, self._device_label, self.device):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(self.side)
        return row

    def _bars(self) -> QWidget:
        page = QWidget()
        grid = QGridLayout(page)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        key = QHBoxLayout()
        key.setSpacing(6)
        for item, name in enumerate(ITEM_NAMES):
            key.addWidget(FitKey(item))
            key.addWidget(muted_label(name))
            key.addSpacing(6)
        key.addStretch(1)
        self._free = muted_label("")
        self._free.setToolTip("┆ in the bars; → where it is beyond their right end")
        key.addWidget(self._free)
        grid.addLayout(key, 0, 0, 1, 4)
        longest = muted_label("longest context")
        longest.setToolTip("The most tokens with which it is not too large")
        grid.addWidget(longest, 0, 4, Qt.AlignmentFlag.AlignRight)
        self._rows = {
            precision: _Row(precision, grid, place) for place, precision in enumerate(Precision, 1)
        }
        return page

    def _arrange(self) -> None:
        shown = self.table is not None
        self._message.setVisible(bool(self._message.text()) and not shown)
        bars = self.side.value() == "chart"
        self.bars.setVisible(shown and bars)
        self.figures.setVisible(shown and not bars)
        self._notes.setVisible(shown and bool(self._notes.text()))
        for widget in (self.context, self.side):
            widget.setEnabled(shown)

    # What happens

    def _tell_context(self) -> None:
        self.context_changed.emit(self.context.value())

    def _tell_device(self) -> None:
        self.device_changed.emit(str(self.device.currentData()))


class _Row:
    """The widgets of one precision."""

    def __init__(self, precision: Precision, grid: QGridLayout, place: int) -> None:
        self._precision = precision
        self.shown = False
        self._name = QLabel(precision.short_label)
        self._name.setToolTip(precision.explanation)
        self._bar = FitBar()
        self._needed, self._verdict, self._longest = QLabel(), QLabel(), QLabel()
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        grid.addWidget(self._name, place, 0)
        grid.addWidget(self._bar, place, 1)
        grid.addWidget(self._needed, place, 2, right)
        grid.addWidget(self._verdict, place, 3)
        grid.addWidget(self._longest, place, 4, right)

    def show_row(self, row: MemoryRow, free: int | None, full: int) -> None:
        plan = row.plan
        self.shown = plan is not None
        for widget in (self._name, self._bar, self._needed, self._verdict, self._longest):
            widget.setVisible(self.shown)
        if plan is None:
            return
        self._bar.show_plan(plan, free, full)
        self._bar.setAccessibleName(self.spoken_items(row))
        self._needed.setText(size_text(plan.needed))
        self._needed.setToolTip(plain_tip(items_text(plan)))
        self._verdict.setText(row.fit.value if row.fit else "")
        set_kind(self._verdict, "tone", _TONES[row.fit] if row.fit else "")
        self._longest.setText(longest_text(row))
        star = " *" if row.needs_gptq else ""
        self._name.setText(self._precision.short_label + star)

    def spoken_items(self, row: MemoryRow) -> str:
        items = items_text(row.plan) if row.plan else ""
        return f"{self._precision.label}: {items}"

    def spoken(self) -> str:
        parts = (self._needed, self._verdict, self._longest)
        told = ", ".join(label.text() for label in parts if label.text())
        return f"{self._precision.label}: {told}"


def _full(table: MemoryTable) -> int:
    """The bytes of a bar of full width: everything, as long as what is free can be seen."""
    largest = max((row.plan.needed for row in table.rows if row.plan), default=1)
    if table.free is None:
        return largest
    if largest * _LEAST_FILL < table.free:
        return _LEAST_FILL * largest
    return int(max(1.04 * table.free, min(largest, _MOST * table.free)))


def _free_text(table: MemoryTable) -> str:
    if table.free is None:
        return "What is free is not known"
    free = f"{size_text(table.free)} free now"
    return f"{free} →" if _full(table) < table.free else f"┆ {free}"


def _notes(table: MemoryTable) -> str:
    told = []
    if left_out := {row.note for row in table.rows if row.plan is None}:
        others = "other " if any(row.plan for row in table.rows) else ""
        told.append(f"It is {', '.join(sorted(left_out))}: no {others}precision can be had of it.")
    if table.reclaimable:
        told.append(f"{size_text(table.reclaimable)} of it comes back from the lane's model.")
    if not table.cache_known:
        told.append("The config does not tell the cache's size: it is left out.")
    if any(row.needs_gptq for row in table.rows):
        told.append("* as a GPTQ version of the model, which is a checkpoint of its own.")
    return " ".join(told)
