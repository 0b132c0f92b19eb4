"""Labels, buttons and combo boxes that shorten their text with an ellipsis where it is too long."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import (
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QLabel,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from playground.gui.toolkit.fields import ComboBox
from playground.gui.toolkit.widgets import plain_tip

_ROWS = 10  # of an open list, the others scroll
_AROUND = 12  # pixels of border and padding above and below the rows


class ElidedLabel(QLabel):
    """One line of plain text, elided where space is short; the tool tip shows all of it."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._full = ""
        self._tip = ""
        self.elide_mode = Qt.TextElideMode.ElideRight
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.set_full_text(text)

    def full_text(self) -> str:
        return self._full

    def set_full_text(self, text: str, tip: str = "") -> None:
        """Show `text`; the tool tip shows `tip` instead, where one is given."""
        if text == self._full and tip == self._tip:
            return
        self._full, self._tip = text, tip
        self.setAccessibleName(text)
        self._elide()

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        width = self.fontMetrics().horizontalAdvance(self._full) + 2
        return QSize(width, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        shown = self.fontMetrics().elidedText(self._full, self.elide_mode, self.width())
        if shown != self.text():
            self.setText(shown)
        self.setToolTip(plain_tip(self._tip or (self._full if shown != self._full else "")))


class ElidedButton(QPushButton):
    """A push button with a shortened or elided text; its accessible description is the whole."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._full = ""
        self._shorter: tuple[str, ...] = ()
        self._reserved = 0  # pixels
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def full_text(self) -> str:
        return self._full

    def set_full_text(self, text: str, *shorter: str) -> None:
        """Show `text`, or the first of the `shorter` ones that fits; the last one is elided."""
        if (text, shorter) != (self._full, self._shorter):
            self._full, self._shorter = text, shorter
            self.setAccessibleDescription(text)
            self._elide()

    def reserve(self, pixels: int) -> None:
        """Reserve a part of the width for padding and icon."""
        self._reserved = pixels
        self._elide()

    def minimumSizeHint(self) -> QSize:
        return QSize(48, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        width = self.fontMetrics().horizontalAdvance(self._full) + self._reserved + 4
        return QSize(width, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        width, metrics = max(8, self.width() - self._reserved), self.fontMetrics()
        texts = (self._full, *self._shorter)
        fitting = (text for text in texts if metrics.horizontalAdvance(text) <= width)
        shown = metrics.elidedText(next(fitting, texts[-1]), Qt.TextElideMode.ElideMiddle, width)
        # An ampersand in a model's name does not mark a mnemonic.
        shown = shown.replace("&", "&&")
        if shown != self.text():
            self.setText(shown)


class ElidedComboBox(ComboBox):
    """A combo box that may be narrow: while closed it shows a short, elided text.

    The short text is the item's data of role `SHORT`, where it has one.
    """

    SHORT = Qt.ItemDataRole.UserRole + 7

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def minimumSizeHint(self) -> QSize:
        return QSize(56, super().minimumSizeHint().height())

    def shown_text(self) -> str:
        """Return what the closed box shows, before eliding."""
        short = self.currentData(self.SHORT)
        return str(short) if short else self.currentText()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        edit = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        option.currentText = self.fontMetrics().elidedText(
            self.shown_text(), Qt.TextElideMode.ElideRight, edit.width() - 2
        )
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def showPopup(self) -> None:  # noqa: N802  # Qt's name
        view = self.view()
        needed = view.sizeHintForColumn(0) + 32
        view.setMinimumWidth(max(self.width(), min(needed, 620)))
        # Qt leaves out the style sheet's padding, which would cut the last row.
        rows = sum(view.sizeHintForRow(row) for row in range(min(self.count(), _ROWS)))
        view.setMinimumHeight(min(rows + _AROUND, self.screen().availableSize().height() - 60))
        super().showPopup()
