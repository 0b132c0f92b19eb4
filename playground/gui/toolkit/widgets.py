"""Small widgets that the views share: elided texts, segments, swatches and a thin bar."""

from __future__ import annotations

import html

from PySide6.QtCore import QMimeData, QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QColor,
    QFont,
    QHideEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QComboBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QWidget,
)

from playground.gui.toolkit import theme


def set_kind(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet looks at, and take the new style on."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def plain_tip(text: str) -> str:
    """A tool tip that shows `text` as it is: Qt would take what looks like HTML for it."""
    if "<" not in text:
        return text
    return f"<span>{html.escape(text)}</span>".replace("\n", "<br>")


def set_name(control: QWidget, name: str) -> None:
    """Give a control its accessible name, and so its parts that can have the focus: Qt leaves
    the line of a spin box, the list of a combo box and a viewport without one."""
    parts: list[QWidget] = [control, *control.findChildren(QLineEdit)]
    if isinstance(control, QComboBox):
        parts.append(control.view())
    elif isinstance(control, QAbstractScrollArea):
        parts.append(control.viewport())
    for part in parts:
        part.setAccessibleName(name)


def announce(widget: QWidget, text: str) -> None:
    """Let a screen reader say `text`."""
    if QAccessible.isActive():
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(widget, text))


def only_text(data: QMimeData, text: str) -> QMimeData:
    """Put `text` in the place of everything in Qt's own `data`.

    The clipboard keeps it beyond the interpreter's end, where deleting an object that was made
    in Python crashes: so it has to be one that Qt made.
    """
    data.text()  # Qt fills it at the first look, and would overwrite what was set before
    data.clear()
    data.setText(text)
    return data


def tool_button(icon: str, name: str, tip: str = "") -> ThemedToolButton:
    """A flat button with an icon only; `name` is what a screen reader says."""
    button = ThemedToolButton(icon)
    button.setAccessibleName(name)
    button.setToolTip(tip or name)
    return button


class ThemedToolButton(QToolButton):
    """A flat icon button whose icon follows the theme."""

    def __init__(self, icon: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon_name = icon
        self.setProperty("kind", "flat")
        self.setIconSize(QSize(16, 16))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        theme.theme_changed.connect(self._tint)
        self._tint()

    def set_icon_name(self, icon: str) -> None:
        if icon != self._icon_name:
            self._icon_name = icon
            self._tint()

    def _tint(self) -> None:
        self.setIcon(theme.icon(self._icon_name))


class ElidedLabel(QLabel):
    """One line of plain text that ends in … where it lacks room; the tip has all of it."""

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
        """Show `text`; `tip` replaces the text in the tool tip."""
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
    """A push button whose text is elided; the whole text is its accessible description."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._full = ""
        self._room = 0
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def full_text(self) -> str:
        return self._full

    def set_full_text(self, text: str) -> None:
        if text != self._full:
            self._full = text
            self.setAccessibleDescription(text)
            self._elide()

    def set_room(self, pixels: int) -> None:
        """Say how many pixels padding and icon take from the text."""
        self._room = pixels
        self._elide()

    def minimumSizeHint(self) -> QSize:
        return QSize(48, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        width = self.fontMetrics().horizontalAdvance(self._full) + self._room + 4
        return QSize(width, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = max(8, self.width() - self._room)
        shown = self.fontMetrics().elidedText(self._full, Qt.TextElideMode.ElideMiddle, room)
        # An ampersand in a model's name is no mnemonic.
        shown = shown.replace("&", "&&")
        if shown != self.text():
            self.setText(shown)


class ElidedComboBox(QComboBox):
    """A combo box that may be narrow: closed, it shows a short text, elided.

    The short text is the item's data of role `SHORT`, where it has one. The wheel changes
    the choice only of a box that has the focus.
    """

    SHORT = Qt.ItemDataRole.UserRole + 7

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def minimumSizeHint(self) -> QSize:
        return QSize(56, super().minimumSizeHint().height())

    def shown_text(self) -> str:
        """What the closed box says, before eliding."""
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

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def showPopup(self) -> None:  # noqa: N802  # Qt's name
        view = self.view()
        wanted = view.sizeHintForColumn(0) + 32
        view.setMinimumWidth(max(self.width(), min(wanted, 620)))
        super().showPopup()


class LaneSwatch(QWidget):
    """The lane's number on its colour, above its line's dash pattern."""

    def __init__(self, index: int = 0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._index = index
        self.setFixedSize(24, 26)
        theme.theme_changed.connect(self.update)
        self.set_index(index)

    def set_index(self, index: int) -> None:
        self._index = index
        self.setAccessibleName(f"Lane {index + 1}")
        self.setToolTip(f"Lane {index + 1}: this colour and line in the plot")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shade = theme.lane_line_color(self._index)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(shade)
        painter.drawRoundedRect(QRectF(2, 0, 20, 19), 5, 5)
        white, black = QColor("#ffffff"), QColor("#101214")
        best = max((white, black), key=lambda ink: theme.contrast(ink, shade))
        painter.setPen(best)
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.drawText(QRectF(2, 0, 20, 19), Qt.AlignmentFlag.AlignCenter, str(self._index + 1))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        pen = theme.lane_pen(self._index)
        pen.setWidth(2)
        painter.setPen(pen)
        painter.drawLine(QPointF(0, 23), QPointF(24, 23))


class ThinBar(QWidget):
    """A progress bar of four pixels: a fraction, a moving piece, or nothing."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(4)
        self.setAccessibleName("Progress")
        self._fraction: float | None = None
        self._busy = False
        self._moving = False
        self._phase = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(40)
        self._timer.timeout.connect(self._step)
        theme.theme_changed.connect(self.update)

    def set_progress(self, busy: bool, fraction: float | None, moving: bool = True) -> None:
        """Draw `fraction` (0 to 1); without one a piece that moves, if `moving`."""
        if (busy, fraction) != (self._busy, self._fraction):
            self._busy, self._fraction = busy, fraction
            percent = f"{fraction:.0%}" if fraction is not None else "unknown"
            self.setAccessibleDescription(percent if busy else "idle")
            self.update()
        self._moving = busy and fraction is None and moving
        self._run(self._moving)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._busy:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        whole = QRectF(self.rect())
        painter.setBrush(theme.color("border"))
        painter.drawRoundedRect(whole, 2, 2)
        painter.setBrush(theme.color("accent"))
        if self._fraction is not None:
            part = min(max(self._fraction, 0.0), 1.0)
            painter.drawRoundedRect(QRectF(0, 0, whole.width() * part, 4), 2, 2)
        elif self._moving:
            length = whole.width() * 0.3
            left = (whole.width() + length) * self._phase - length
            piece = QRectF(left, 0, length, 4).intersected(whole)
            painter.drawRoundedRect(piece, 2, 2)
        else:
            painter.drawRoundedRect(whole, 2, 2)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._run(self._moving)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def _run(self, on: bool) -> None:
        if on and self.isVisible():
            if not self._timer.isActive():
                self._timer.start()
        elif self._timer.isActive():
            self._timer.stop()
            self.update()

    def _step(self) -> None:
        self._phase = (self._phase + 0.02) % 1.0
        self.update()


def wrapping_policy() -> QSizePolicy:
    """For a wrapped label that takes the width it gets, and the height it then needs."""
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    policy.setHeightForWidth(True)
    return policy


def muted_label(text: str, *, wrap: bool = False) -> QLabel:
    """A plain label of lesser weight."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setProperty("tone", "muted")
    label.setWordWrap(wrap)
    return label
