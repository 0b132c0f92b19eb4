"""Shows whether a model fits: a bar or a row of numbers for every precision."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QWidget

from playground.core.format import size_text
from playground.core.memory.plan import Fit
from playground.core.memory.table import MemoryRow, MemoryTable
from playground.core.precision import Precision
from playground.gui.memory.bars import ITEM_NAMES, LegendSquare, MemoryBar, items_text
from playground.gui.memory.table import MemoryFigures, longest_text, precision_text
from playground.gui.toolkit.fields import ComboBox
from playground.gui.toolkit.segments import Segments
from playground.gui.toolkit.widgets import (
    h_box,
    label_for,
    muted_label,
    plain_tip,
    set_kind,
    set_name,
    spin_box,
    v_box,
)

_TONES = {Fit.FITS: "success", Fit.TIGHT: "warning", Fit.TOO_LARGE: "danger"}
_STEP = 512  # tokens
#: A bar is cut off at this multiple of the free memory: shorter bars must stay distinguishable.
_MOST = 2.0
#: Where the free memory is more than this multiple of the longest bar, its line is left out:
#: the items of a small model must stay visible.
_LEAST_FILL = 3
_TYPING_MS = 250


class MemoryChart(QWidget):
    """Shows a MemoryTable as bars or as a table, for a context and a device that the user sets."""

    context_changed = Signal(int)  # tokens
    device_changed = Signal(str)  # a device's id

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Memory at every precision")
        self.table: MemoryTable | None = None
        self._devices: tuple[tuple[str, str], ...] = ()
        self._typing = QTimer(self, singleShot=True, interval=_TYPING_MS)
        self._typing.timeout.connect(self._emit_context)
        column = v_box(self)
        column.addLayout(self._controls())
        self.message = muted_label("", wrap=True)
        self.bars = self._bars()
        self.figures = MemoryFigures()
        self.notes = muted_label("", wrap=True)
        for widget in (self.message, self.bars, self.figures, self.notes):
            column.addWidget(widget)
        column.addStretch(1)
        self.show_message("")

    # Contents

    def show_devices(self, devices: Sequence[tuple[str, str]], current: str) -> None:
        """Offer devices as (id, name); a single one is not shown."""
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
        """Show a sentence instead of the chart, or nothing for ""."""
        self.table = None
        set_kind(self.message, "tone", tone)
        self.message.setText(text)
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
            self.rows[row.precision].show_row(row, table.free, full)
        self.figures.show_table(table)
        self.free.setText(_free_text(table))
        self.notes.setText(_notes(table))
        self._arrange()

    # Construction

    def _controls(self) -> QHBoxLayout:
        self.context = spin_box(
            "Context: prompt and answer together",
            "Prompt and answer together; the cache grows with it",
            (1, 2**20),
            _STEP,
        )
        self.context.setGroupSeparatorShown(True)
        self.context.setSuffix(" tokens")
        self.context.valueChanged.connect(self._typing.start)
        widest = self.context.fontMetrics().horizontalAdvance("1,048,576 tokens")
        self.context.setMinimumWidth(widest + 48)
        self.device = ComboBox()
        set_name(self.device, "Device")
        self.device.currentIndexChanged.connect(self._emit_device)
        self._device_label = label_for("De&vice", self.device)
        self.side = Segments(
            "Show",
            (
                ("chart", "Cha&rt", "A bar for every precision"),
                ("figures", "Fi&gures", "A table with every item as a number"),
            ),
        )
        self.side.chosen.connect(self._arrange)
        label = label_for("Conte&xt", self.context)
        row = h_box(label, self.context, self._device_label, self.device)
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
        legend = h_box(spacing=6)
        for item, name in enumerate(ITEM_NAMES):
            legend.addWidget(LegendSquare(item))
            legend.addWidget(muted_label(name))
            legend.addSpacing(6)
        legend.addStretch(1)
        self.free = muted_label("")
        self.free.setToolTip("┆ marks it in the bars; → where it is beyond their right end")
        legend.addWidget(self.free)
        grid.addLayout(legend, 0, 0, 1, 4)
        longest = muted_label("longest context")
        longest.setToolTip("The most tokens with which the model still fits")
        grid.addWidget(longest, 0, 4, Qt.AlignmentFlag.AlignRight)
        self.rows = {
            precision: _Row(precision, grid, place) for place, precision in enumerate(Precision, 1)
        }
        return page

    def _arrange(self) -> None:
        shown = self.table is not None
        self.message.setVisible(bool(self.message.text()) and not shown)
        bars = self.side.value() == "chart"
        self.bars.setVisible(shown and bars)
        self.figures.setVisible(shown and not bars)
        self.notes.setVisible(shown and bool(self.notes.text()))
        for widget in (self.context, self.side):
            widget.setEnabled(shown)

    # Changes by the user

    def _emit_context(self) -> None:
        self.context_changed.emit(self.context.value())

    def _emit_device(self) -> None:
        self.device_changed.emit(str(self.device.currentData()))


class _Row:
    """The widgets of one precision."""

    def __init__(self, precision: Precision, grid: QGridLayout, place: int) -> None:
        self.precision = precision
        self.shown = False
        self._name = QLabel(precision.short_label)
        self._name.setToolTip(precision.explanation)
        self._bar = MemoryBar()
        self.needed, self.verdict, self.longest = QLabel(), QLabel(), QLabel()
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        grid.addWidget(self._name, place, 0)
        grid.addWidget(self._bar, place, 1)
        grid.addWidget(self.needed, place, 2, right)
        grid.addWidget(self.verdict, place, 3)
        grid.addWidget(self.longest, place, 4, right)

    def show_row(self, row: MemoryRow, free: int | None, full: int) -> None:
        plan = row.plan
        self.shown = plan is not None
        for widget in (self._name, self._bar, self.needed, self.verdict, self.longest):
            widget.setVisible(self.shown)
        if plan is None:
            return
        items = items_text(plan)
        self._bar.show_plan(plan, free, full)
        self._bar.setAccessibleName(f"{self.precision.label}: {items}")
        self.needed.setText(size_text(plan.needed))
        self.needed.setToolTip(plain_tip(items))
        self.verdict.setText(row.fit.value if row.fit else "")
        set_kind(self.verdict, "tone", _TONES[row.fit] if row.fit else "")
        self.longest.setText(longest_text(row))
        self._name.setText(precision_text(row))


def _full(table: MemoryTable) -> int:
    """Return the bytes of a bar of full width: the longest one's, within the limits above."""
    largest = max((row.plan.needed for row in table.rows if row.plan), default=1)
    if table.free is None:
        return largest
    if largest * _LEAST_FILL < table.free:
        return _LEAST_FILL * largest
    return int(max(1.04 * table.free, min(largest, _MOST * table.free)))


def _free_text(table: MemoryTable) -> str:
    if table.free is None:
        return "The free memory is not known"
    free = f"{size_text(table.free)} free now"
    return f"{free} →" if _full(table) < table.free else f"┆ {free}"


def _notes(table: MemoryTable) -> str:
    notes = []
    if left_out := {row.note for row in table.rows if row.plan is None}:
        other = "other " if any(row.plan for row in table.rows) else ""
        notes.append(f"It is {', '.join(sorted(left_out))}: no {other}precision can be made of it.")
    if table.reclaimable:
        freed = size_text(table.reclaimable)
        notes.append(f"The free memory includes {freed} that the lane's model will release.")
    if not table.cache_known:
        notes.append("The cache is left out, since the config does not say how large it is.")
    if any(row.needs_gptq for row in table.rows):
        notes.append("* needs a GPTQ version of the model, which is a separate checkpoint.")
    return " ".join(notes)
