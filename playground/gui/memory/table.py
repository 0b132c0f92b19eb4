"""The table of the memory chart: every item of every precision as a number."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from playground.core.format import NOTHING, size_text
from playground.core.memory.plan import MemoryPlan
from playground.core.memory.table import MemoryRow, MemoryTable
from playground.core.precision import LOADABLE
from playground.gui.toolkit.text_table import ROW_HEIGHT, dress_table

#: Heading and tool tip of each column after the precision's.
_COLUMNS = (
    ("Needed", "the sum of all items, which is compared with the free memory"),
    ("Verdict", "tight: more than 90 % of the free memory"),
    ("Longest", "the longest context that still fits"),
    ("Weights", "linear layers at the precision, everything else at 16 bits (fp32: 32)"),
    ("Cache", "keys and values of every token of the context"),
    ("Process", "the engine with its libraries; on a GPU, CUDA's context"),
    ("Prefill", "the working memory for a prompt as long as the context"),
    ("Load", "the working memory for converting the layers on a GPU"),
    ("Learned", "the correction that earlier loads on this machine have shown"),
    ("Pages", "mapped pages of the files, no longer needed; the system can reclaim them"),
    ("Peak", "the peak that is measured: everything needed, and those pages"),
)


class MemoryFigures(QTableWidget):
    """Shows a MemoryTable, one row a precision."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(len(LOADABLE), len(_COLUMNS) + 1, parent)
        dress_table(self, "Memory at every precision, as figures")
        self.setWordWrap(False)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        for place, (title, tip) in enumerate((("Precision", ""), *_COLUMNS)):
            item = QTableWidgetItem(title)
            item.setToolTip(tip and f"{title}: {tip}")
            left = Qt.AlignmentFlag.AlignLeft if not place else Qt.AlignmentFlag.AlignRight
            item.setTextAlignment(left | Qt.AlignmentFlag.AlignVCenter)
            self.setHorizontalHeaderItem(place, item)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for row in range(self.rowCount()):
            for place in range(self.columnCount()):
                item = QTableWidgetItem()
                if place:
                    item.setTextAlignment(right)
                self.setItem(row, place, item)

    def show_table(self, table: MemoryTable) -> None:
        for place, row in enumerate(table.rows):
            self.setRowHidden(place, row.plan is None)
            if row.plan is None:
                continue
            for column, text in enumerate(_texts(row, row.plan)):
                item = self.item(place, column)
                if item is not None:
                    item.setText(text)
                    item.setToolTip(row.note)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        shown = sum(not self.isRowHidden(row) for row in range(self.rowCount()))
        bar = self.horizontalScrollBar().sizeHint().height()
        return QSize(
            400, ROW_HEIGHT * shown + self.horizontalHeader().sizeHint().height() + bar + 4
        )


def precision_text(row: MemoryRow) -> str:
    """Return the precision's name, with a star where it needs another checkpoint."""
    return row.precision.short_label + (" *" if row.needs_gptq else "")


def longest_text(row: MemoryRow) -> str:
    """Return the longest context that fits, in words."""
    if row.longest is None:
        return NOTHING
    return f"{row.longest:,} tokens" if row.longest else "none"


def _texts(row: MemoryRow, plan: MemoryPlan) -> list[str]:
    learned = f"{'−' if plan.correction < 0 else '+'}{size_text(abs(plan.correction))}"
    return [
        precision_text(row),
        size_text(plan.needed),
        row.fit.value if row.fit else NOTHING,
        longest_text(row),
        size_text(plan.weights.total),
        size_text(plan.cache),
        size_text(plan.process),
        size_text(plan.workspace),
        size_text(plan.loading) if plan.loading else NOTHING,
        learned if plan.correction else NOTHING,
        size_text(plan.pages) if plan.pages else NOTHING,
        size_text(plan.peak),
    ]
