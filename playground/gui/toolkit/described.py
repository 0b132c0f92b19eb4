"""Draws the entries of an open list as a name with its explanation below, wrapped to one width."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from playground.gui.toolkit import theme

_Index = QModelIndex | QPersistentModelIndex
#: The explanation of an entry, "" for none.
EXPLANATION = Qt.ItemDataRole.UserRole + 8
#: Width (pixels) of every entry.
WIDTH = 400
_SIDE, _ABOVE, _BETWEEN = 8, 5, 1
_WRAPPED = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop) | int(
    Qt.TextFlag.TextWordWrap
)


class DescribedDelegate(QStyledItemDelegate):
    """For entries whose data has the role EXPLANATION."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        height = option.fontMetrics.height() + 2 * _ABOVE
        explanation = index.data(EXPLANATION)
        if explanation:
            area = QRect(0, 0, WIDTH - 2 * _SIDE, 10_000)
            height += (
                _BETWEEN + option.fontMetrics.boundingRect(area, _WRAPPED, explanation).height()
            )
        return QSize(WIDTH, height)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        shown = QStyleOptionViewItem(option)
        self.initStyleOption(shown, index)
        name, shown.text = shown.text, ""
        style = shown.widget.style() if shown.widget else QApplication.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, shown, painter, shown.widget)
        enabled = bool(shown.state & QStyle.StateFlag.State_Enabled)
        selected = enabled and bool(shown.state & QStyle.StateFlag.State_Selected)
        area = shown.rect.adjusted(_SIDE, _ABOVE, -_SIDE, -_ABOVE)
        painter.save()
        painter.setFont(shown.font)
        painter.setPen(theme.color("on_accent" if selected else "text" if enabled else "disabled"))
        painter.drawText(area, _WRAPPED, name)
        area.setTop(area.top() + shown.fontMetrics.height() + _BETWEEN)
        painter.setPen(theme.color("on_accent" if selected else "muted"))
        painter.drawText(area, _WRAPPED, index.data(EXPLANATION) or "")
        painter.restore()
