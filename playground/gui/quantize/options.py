"""The fields for the options of a quantized copy."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QLabel,
    QLineEdit,
    QWidget,
)

from playground.core.choices import BITS, GROUP_SIZES, LENGTHS, SAMPLES
from playground.core.precision import Precision
from playground.core.quantizing.request import QuantizeRequest
from playground.gui.quantize.text import KINDS, TIPS
from playground.gui.toolkit.elided import ElidedLabel
from playground.gui.toolkit.fields import ComboBox
from playground.gui.toolkit.file_dialog import file_dialog
from playground.gui.toolkit.segments import Segments
from playground.gui.toolkit.widgets import (
    fill_combo,
    h_box,
    label_for,
    muted_label,
    push_button,
    spin_box,
    v_box,
)

_INCLUDED = "the included text (English prose)"


class QuantizeOptions(QWidget):
    """Shows the options of a QuantizeRequest, and emits what the user changes."""

    changed = Signal(object)  # a dict of a request's fields with their new values

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._calibration = ""
        self.kind = Segments(
            "Kind of copy", [(kind.value, text, tip) for kind, (text, tip) in KINDS.items()]
        )
        self.kind.chosen.connect(self._kind_chosen)
        self.explanation = muted_label("", wrap=True)
        self.bits = _combo("Bits", TIPS["bits"], [(str(bits), bits) for bits in BITS])
        self.group = _combo(
            "Group size",
            TIPS["group"],
            [(str(size) if size > 0 else "whole row", size) for size in GROUP_SIZES],
        )
        self.order = QCheckBox("Act-&order")
        self.symmetric = QCheckBox("S&ymmetric")
        for box, tip in ((self.order, TIPS["order"]), (self.symmetric, TIPS["symmetric"])):
            box.setToolTip(tip)
            box.toggled.connect(self._emit)
        self.samples = spin_box("Calibration samples", TIPS["samples"], SAMPLES, 16)
        self.length = spin_box("Tokens per sample", TIPS["length"], LENGTHS, 128)
        for combo in (self.bits, self.group):
            combo.currentIndexChanged.connect(self._emit)
        for spin in (self.samples, self.length):
            spin.valueChanged.connect(self._emit)
        self.text = ElidedLabel(_INCLUDED)
        self.text.setToolTip(TIPS["calibration"])
        self.choose = push_button("Choose a &text…", TIPS["calibration"])
        self.choose.clicked.connect(self._choose_text)
        self.sample = push_button("&Use the included text")
        self.sample.clicked.connect(self._use_sample)
        self.name = QLineEdit()
        self.name.setAccessibleName("Name of the new folder")
        self.name.setToolTip(TIPS["name"])
        self.name.setMaxLength(200)
        self.name.editingFinished.connect(self._named)
        self.place = ElidedLabel()
        self.place.setProperty("tone", "muted")
        self._output = Path()
        self._place_fields()

    def show_request(self, request: QuantizeRequest) -> None:
        """Show the options of a request without emitting `changed`."""
        fields = (self.bits, self.group, self.order, self.symmetric, self.samples, self.length)
        blocked = [field.blockSignals(True) for field in fields]
        self.kind.set_value(request.to.value)
        self.explanation.setText(KINDS[request.to][1])
        self.gptq.setVisible(request.to is Precision.GPTQ)
        self.bits.setCurrentIndex(self.bits.findData(request.bits))
        self.group.setCurrentIndex(self.group.findData(request.group_size))
        self.order.setChecked(request.act_order)
        self.symmetric.setChecked(request.symmetric)
        self.samples.setValue(request.samples)
        self.length.setValue(request.length)
        for field, was in zip(fields, blocked, strict=True):
            field.blockSignals(was)
        self._calibration = request.calibration
        self.text.set_full_text(request.calibration or _INCLUDED)
        self.sample.setEnabled(bool(request.calibration))
        self._output = Path(request.output)
        if self.name.text() != self._output.name:
            self.name.setText(self._output.name)
        self.place.set_full_text(f"in {self._output.parent}", str(self._output.parent))

    def _place_fields(self) -> None:
        self.gptq = QWidget()
        grid = QGridLayout(self.gptq)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(8)
        for place in (1, 3):
            grid.setColumnStretch(place, 1)
        rows: tuple[tuple[str, QWidget, str, QWidget], ...] = (
            ("&Bits", self.bits, "G&roup size", self.group),
            ("Sam&ples", self.samples, "Tokens p&er sample", self.length),
        )
        for row, (left, first, right, second) in enumerate(rows):
            grid.addWidget(label_for(left, first), row, 0)
            grid.addWidget(first, row, 1)
            grid.addWidget(label_for(right, second), row, 2)
            grid.addWidget(second, row, 3)
        grid.addWidget(self.order, 2, 1)
        grid.addWidget(self.symmetric, 2, 3)
        text = h_box(self.text, self.choose, self.sample)
        text.setStretch(0, 1)
        grid.addWidget(QLabel("Calibration"), 3, 0)
        grid.addLayout(text, 3, 1, 1, 3)

        name = QGridLayout()
        name.setHorizontalSpacing(12)
        name.setVerticalSpacing(4)
        name.addWidget(label_for("Na&me", self.name), 0, 0)
        name.addWidget(self.name, 0, 1)
        name.addWidget(self.place, 1, 1)
        # The fields of both grids are aligned.
        widest = QLabel("Calibration").sizeHint().width()
        for above in (grid, name):
            above.setColumnMinimumWidth(0, widest)
        name.setColumnStretch(1, 1)
        column = v_box(self, spacing=10)
        column.addWidget(self.kind)
        column.addWidget(self.explanation)
        column.addWidget(self.gptq)
        column.addLayout(name)

    @Slot(str)
    def _kind_chosen(self, value: str) -> None:
        self.changed.emit({"to": Precision(value)})

    @Slot()
    def _emit(self) -> None:
        self.changed.emit(
            {
                "bits": self.bits.currentData(),
                "group_size": self.group.currentData(),
                "act_order": self.order.isChecked(),
                "symmetric": self.symmetric.isChecked(),
                "samples": self.samples.value(),
                "length": self.length.value(),
            }
        )

    @Slot()
    def _named(self) -> None:
        name = self.name.text().strip().replace("/", "-").lstrip(".")
        if name and name != self._output.name:
            self.changed.emit({"output": str(self._output.with_name(name))})
        else:
            self.name.setText(self._output.name)

    @Slot()
    def _choose_text(self) -> None:
        dialog = file_dialog(self, "Choose a calibration text", self.use_text)
        dialog.setNameFilters(["Text (*.txt *.md)", "All files (*)"])
        dialog.open()

    @Slot(str)
    def use_text(self, path: str) -> None:
        """Calibrate with a file's text."""
        self.changed.emit({"calibration": path})

    @Slot()
    def _use_sample(self) -> None:
        self.changed.emit({"calibration": ""})


def _combo(name: str, tip: str, choices: list[tuple[str, int]]) -> ComboBox:
    combo = ComboBox()
    fill_combo(combo, name, choices, tip)
    return combo
