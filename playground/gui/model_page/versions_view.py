"""What a model was made from, and the quantized versions others have made of it, by method."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from playground.gui.model_page.text import VERSION_COLUMNS, group_title, version_cells
from playground.gui.toolkit import theme
from playground.gui.toolkit.widgets import muted_label, set_kind, wrapping_policy
from playground.hub.catalog import DerivativeGroup, ModelRow

_ROW = Qt.ItemDataRole.UserRole


class VersionsView(QWidget):
    """A tree of versions; one of them may be compared with the model, or looked at."""

    row_chosen = Signal(object)  # the ModelRow whose page is wanted
    base_chosen = Signal(str)  # the id of a model that this one was made from
    picked = Signal(object)  # the ModelRow that is the current one, or None
    compare_asked = Signal(object)  # the ModelRow to compare with the model

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._origin = muted_label("")
        self._bases = QHBoxLayout()
        self._bases.setSpacing(4)
        self._base_buttons: list[QPushButton] = []
        self.tree = QTreeWidget()
        self.tree.setColumnCount(len(VERSION_COLUMNS))
        self.tree.setHeaderLabels(VERSION_COLUMNS)
        self.tree.setAccessibleName("Quantized versions by method")
        self.tree.setUniformRowHeights(True)
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.tree.setIndentation(12)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(8)  # the last one is empty where none is here
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for number in (2, 3):
            self.tree.headerItem().setTextAlignment(number, right)
        self._state = QLabel()
        self._state.setTextFormat(Qt.TextFormat.PlainText)
        self._state.setWordWrap(True)
        self._state.setSizePolicy(wrapping_policy())
        self.compare_button = QPushButton("&Compare with bf16")
        self.page_button = QPushButton("Show its &page")
        for button in (self.compare_button, self.page_button):
            button.setAutoDefault(False)
        self._empty = QWidget()  # takes the tree's room
        origin = QHBoxLayout()
        origin.setSpacing(8)
        origin.addWidget(self._origin)
        origin.addLayout(self._bases)
        origin.addStretch(1)
        below = QHBoxLayout()
        below.setSpacing(8)
        below.addWidget(self._state, 1)
        below.addWidget(self.compare_button)
        below.addWidget(self.page_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(origin)
        column.addWidget(self.tree, 1)
        column.addLayout(below)
        column.addWidget(self._empty, 1)
        self.tree.currentItemChanged.connect(self._changed)
        self.tree.itemActivated.connect(self._activated)
        self.compare_button.clicked.connect(self._compare)
        self.page_button.clicked.connect(self._show_page)

    def show_origin(self, words: str, bases: Sequence[str]) -> None:
        """Show what the model was made from; `words` stand before the names."""
        for button in self._base_buttons:
            self._bases.removeWidget(button)
            button.deleteLater()
        self._base_buttons = [self._base_button(base) for base in bases[:3]]
        for button in self._base_buttons:
            self._bases.addWidget(button)
        self._origin.setText(words)
        self._origin.setVisible(bool(words))

    def show_groups(self, groups: Sequence[DerivativeGroup]) -> None:
        """Show versions under their methods."""
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
        """Say how the list stands, or what choosing the current version means."""
        set_kind(self._state, "tone", tone)
        self._state.setText(text)

    def state_text(self) -> str:
        return self._state.text()

    def base_buttons(self) -> list[QPushButton]:
        return list(self._base_buttons)

    def current(self) -> ModelRow | None:
        item = self.tree.currentItem()
        row = item.data(0, _ROW) if item is not None else None
        return row if isinstance(row, ModelRow) else None

    def select(self, name: str) -> None:
        """Make a version the current one."""
        for item in self.tree.findItems(
            name, Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive, 0
        ):
            self.tree.setCurrentItem(item)

    def _base_button(self, base: str) -> QPushButton:
        button = QPushButton(base.replace("&", "&&"))
        button.setProperty("kind", "flat")
        button.setAutoDefault(False)
        button.setToolTip("Show its page")
        button.setAccessibleName(f"Show the page of {base}")
        button.clicked.connect(self._base_clicked)
        button.setProperty("base", base)
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
            self.compare_asked.emit(row)

    @Slot()
    def _base_clicked(self) -> None:
        button = self.sender()
        if button is not None:
            self.base_chosen.emit(str(button.property("base")))


def _item(row: ModelRow) -> QTreeWidgetItem:
    item = QTreeWidgetItem(list(version_cells(row)))
    item.setData(0, _ROW, row)
    item.setToolTip(0, row.name)
    for column in (2, 3):
        item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item
