"""Shows what a model was made from, and its quantized versions by method."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QHeaderView, QPushButton, QTreeWidget, QTreeWidgetItem, QWidget

from playground.gui.model_page.text import VERSION_COLUMNS, group_title, version_cells
from playground.gui.toolkit import theme
from playground.gui.toolkit.widgets import (
    h_box,
    muted_label,
    plain_label,
    push_button,
    set_kind,
    v_box,
    wrapping_policy,
)
from playground.hub.catalog import DerivativeGroup, ModelRow

_ROW = Qt.ItemDataRole.UserRole


class VersionsView(QWidget):
    """A tree of versions, each of which may be compared with the model, or opened."""

    row_chosen = Signal(object)  # the ModelRow whose page to show
    base_chosen = Signal(str)  # the id of a model that this one was made from
    picked = Signal(object)  # the ModelRow that is current now, or None
    compare_requested = Signal(object)  # the ModelRow to compare with the model

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._origin = muted_label("")
        self._bases = h_box(spacing=4)
        self.base_buttons: list[QPushButton] = []
        self.tree = QTreeWidget()
        self.tree.setColumnCount(len(VERSION_COLUMNS))
        self.tree.setHeaderLabels(VERSION_COLUMNS)
        self.tree.setAccessibleName("Quantized versions by method")
        self.tree.setUniformRowHeights(True)
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.tree.setIndentation(12)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(8)  # the last column is empty where no version is here
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for number in (2, 3):
            self.tree.headerItem().setTextAlignment(number, right)
        self.state = plain_label(wrap=True)
        self.state.setSizePolicy(wrapping_policy())
        self.compare_button = push_button("&Compare with bf16")
        self.page_button = push_button("Show its &page")
        self._empty = QWidget()  # fills the space of the tree
        origin = h_box(self._origin, self._bases)
        origin.addStretch(1)
        below = h_box(self.state, self.compare_button, self.page_button)
        below.setStretch(0, 1)
        column = v_box(self)
        column.addLayout(origin)
        column.addWidget(self.tree, 1)
        column.addLayout(below)
        column.addWidget(self._empty, 1)
        self.tree.currentItemChanged.connect(self._changed)
        self.tree.itemActivated.connect(self._activated)
        self.compare_button.clicked.connect(self._compare)
        self.page_button.clicked.connect(self._show_page)

    def show_origin(self, words: str, bases: Sequence[str]) -> None:
        """Show what the model was made from; `words` precede the names."""
        for button in self.base_buttons:
            self._bases.removeWidget(button)
            button.deleteLater()
        self.base_buttons = [self._base_button(base) for base in bases[:3]]
        for button in self.base_buttons:
            self._bases.addWidget(button)
        self._origin.setText(words)
        self._origin.setVisible(bool(words))

    def show_groups(self, groups: Sequence[DerivativeGroup]) -> None:
        """Show the versions under the names of their methods."""
        self.tree.clear()
        for group in groups:
            head = QTreeWidgetItem([group_title(group)])
            head.setFont(0, theme.ui_font(bold=True))
            head.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.tree.addTopLevelItem(head)
            head.setFirstColumnSpanned(True)
            head.setExpanded(group.runs or len(groups) == 1)
            for row in group.rows:
                head.addChild(_item(row))
        for widget in (self.tree, self.compare_button, self.page_button):
            widget.setVisible(bool(groups))
        self._empty.setVisible(not groups)
        self._changed()

    def show_state(self, text: str, tone: str = "muted") -> None:
        """Say that the list is being read, or what comparing with a version would take."""
        set_kind(self.state, "tone", tone)
        self.state.setText(text)

    def current(self) -> ModelRow | None:
        item = self.tree.currentItem()
        row = item.data(0, _ROW) if item is not None else None
        return row if isinstance(row, ModelRow) else None

    def _base_button(self, base: str) -> QPushButton:
        button = push_button(base.replace("&", "&&"), "Show its page", kind="flat")
        button.setAccessibleName(f"Show the page of {base}")
        button.clicked.connect(partial(self.base_chosen.emit, base))
        return button

    @Slot()
    def _changed(self) -> None:
        row = self.current()
        self.page_button.setEnabled(row is not None)
        self.compare_button.setEnabled(False)
        self.picked.emit(row)

    @Slot(QTreeWidgetItem, int)
    def _activated(self, item: QTreeWidgetItem, _: int) -> None:
        if isinstance(row := item.data(0, _ROW), ModelRow):
            self.row_chosen.emit(row)

    @Slot()
    def _show_page(self) -> None:
        if (row := self.current()) is not None:
            self.row_chosen.emit(row)

    @Slot()
    def _compare(self) -> None:
        if (row := self.current()) is not None:
            self.compare_requested.emit(row)


def _item(row: ModelRow) -> QTreeWidgetItem:
    item = QTreeWidgetItem(list(version_cells(row)))
    item.setData(0, _ROW, row)
    item.setToolTip(0, row.name)
    for column in (2, 3):
        item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item
