"""The list of models to pick from: two lines a row, under headings."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from playground.core.facts import ModelSpec
from playground.gui import theme
from playground.gui.model_choices import Choice

_CHOICE = Qt.ItemDataRole.UserRole
_MARGIN = 12


class PickerList(QListWidget):
    """Shows choices; `picked` comes with every change of the row, `used` on Enter."""

    picked = Signal(object)  # ModelSpec
    used = Signal(object)  # ModelSpec

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Models")
        self.setItemDelegate(_TwoLines(self))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.setUniformItemSizes(False)
        self.currentItemChanged.connect(self._changed)
        self.itemDoubleClicked.connect(self._activated)

    def show_choices(self, choices: Sequence[Choice], selected: ModelSpec) -> None:
        """Replace the rows; `selected` is made the current one, or else the first."""
        self.blockSignals(True)
        self.clear()
        section, current = "", None
        for choice in choices:
            if choice.section != section:
                section = choice.section
                heading = QListWidgetItem(section, self)
                heading.setFlags(Qt.ItemFlag.NoItemFlags)
            item = QListWidgetItem(choice.title, self)
            item.setData(_CHOICE, choice)
            item.setData(
                Qt.ItemDataRole.AccessibleTextRole, f"{choice.title}, {choice.subtitle}, {section}"
            )
            item.setToolTip(f"{choice.title}\n{choice.subtitle}")
            if current is None or choice.spec == selected:
                current = item
        self.blockSignals(False)
        if current is not None:
            self.setCurrentItem(current)
            self.scrollToItem(current)

    def current_choice(self) -> Choice | None:
        item = self.currentItem()
        choice = item.data(_CHOICE) if item is not None else None
        return choice if isinstance(choice, Choice) else None

    def choices(self) -> list[Choice]:
        found = (self.item(row).data(_CHOICE) for row in range(self.count()))
        return [choice for choice in found if isinstance(choice, Choice)]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        choice = self.current_choice()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and choice is not None:
            self.used.emit(choice.spec)
        else:
            super().keyPressEvent(event)

    def _changed(self, current: QListWidgetItem | None) -> None:
        choice = current.data(_CHOICE) if current is not None else None
        if isinstance(choice, Choice):
            self.picked.emit(choice.spec)

    def _activated(self, item: QListWidgetItem) -> None:
        choice = item.data(_CHOICE)
        if isinstance(choice, Choice):
            self.used.emit(choice.spec)


class _TwoLines(QStyledItemDelegate):
    """Draws a choice as a name above a lesser line, and a heading as small bold text."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        line = option.fontMetrics.height()
        return QSize(0, 2 * line + 18 if isinstance(index.data(_CHOICE), Choice) else line + 16)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        choice = index.data(_CHOICE)
        rect: QRect = option.rect.adjusted(_MARGIN, 6, -_MARGIN, -6)
        painter.save()
        if not isinstance(choice, Choice):
            painter.setFont(theme.ui_font(0.9, bold=True))
            painter.setPen(theme.color("muted"))
            painter.drawText(rect, Qt.AlignmentFlag.AlignBottom, str(index.data()))
            painter.restore()
            return
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if selected or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("accent" if selected else "hover"))
            painter.drawRoundedRect(option.rect.adjusted(3, 1, -3, -1), 6, 6)
        ink = theme.color("on_accent" if selected else "text")
        lesser = ink if selected else theme.color("muted" if choice.usable else "warning")
        self._line(painter, rect, choice.title, theme.ui_font(bold=True), ink, top=True)
        self._line(painter, rect, choice.subtitle, theme.ui_font(0.92), lesser, top=False)
        painter.restore()

    @staticmethod
    def _line(
        painter: QPainter, rect: QRect, text: str, font: QFont, ink: QColor, *, top: bool
    ) -> None:
        painter.setFont(font)
        painter.setPen(ink)
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, rect.width())
        side = Qt.AlignmentFlag.AlignTop if top else Qt.AlignmentFlag.AlignBottom
        painter.drawText(rect, side | Qt.TextFlag.TextSingleLine, shown)
