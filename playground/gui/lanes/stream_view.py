"""A lane's text: appended cheaply while it streams, never interpreted as markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QMargins, QMimeData, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFont,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTextCharFormat,
    QTextCursor,
    QTextFormat,
)
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from playground.gui.toolkit import paragraphs, theme
from playground.gui.toolkit.widgets import only_text, tool_button

#: Of a longer prompt (characters) only head and tail are shown.
_SHOWN_PROMPT = 20_000
_ROLE = QTextFormat.Property.UserProperty + 1
_LEAST = QSize(196, 40)  # the text in the narrowest lane
_BORDER = QSize(2, 2)  # the style sheet's focus border, both sides
_AROUND_HINT = QMargins(16, 8, 16, 8)
_HINT_FLAGS = int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap)

#: What is shown for characters that have no glyph, or that Qt's document would act on.
_SHOWN: dict[int, str] = {
    **{code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"},
    0x7F: "\u2421",
    0xFDD0: "\ufffd",
    0xFDD1: "\ufffd",
    0xFFFC: "\ufffd",
    0x2029: "\n",
    0x85: "\n",
    **dict.fromkeys(range(55296, 57344), "�"),
}


#: Marked words at a time; each mark has a cursor that follows every change.
_MOST_MARKS = 400


@dataclass(frozen=True)
class Difference:
    """Where an answer differs from another, in characters of it as it is `visible`.

    `first` is the first token that differs, `spans` the words from there on; (start, end) each.
    """

    first: tuple[int, int]
    spans: tuple[tuple[int, int], ...]


class StreamView(QPlainTextEdit):
    """Shows prompts and answers; new text moves neither the selection nor the scroll position.

    A new turn is scrolled to.
    Roles of a turn: "prompt" (raw text that the answer continues) and "user" (a message; it and
    the answer get labels). Both are dimmed.
    """

    hovered = Signal(int)  # the position of the character under the mouse, -1 for none
    caret_moved = Signal(int)  # a key has moved the text cursor to this position
    resized = Signal()
    chosen = Signal()  # Enter was pressed
    menu_opening = Signal(object)  # the QMenu of the place under the mouse

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "stream")
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setAcceptDrops(False)  # the lane around it takes dropped folders
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setAccessibleName("Text of the lane")
        self.setFrameShape(QPlainTextEdit.Shape.NoFrame)
        self.document().setDocumentMargin(8)
        self._labels_answer = False  # before the next piece of text
        self._difference: Difference | None = None
        self._after_cr = False
        #: Where the last answer begins in the document, None before it does.
        self.answer_start: int | None = None
        # By what they show; later ones lie over earlier ones.
        self._marks: dict[str, Sequence[QTextEdit.ExtraSelection]] = dict.fromkeys(
            ("probability", "difference", "token"), ()
        )
        self._hint = ""
        self._to_end = tool_button("down", "Jump to the end of the text")
        self._to_end.setParent(self)
        self._to_end.setProperty("kind", "")
        self._to_end.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # Ctrl+End does the same
        self._to_end.clicked.connect(self.scroll_to_end)
        self._to_end.hide()
        self.verticalScrollBar().valueChanged.connect(self._show_jump)
        self.verticalScrollBar().rangeChanged.connect(self._show_jump)
        theme.theme_changed.connect(self._recolor)
        self.viewport().setMouseTracking(True)
        # Otherwise each flush of tokens repaints every widget behind this one.
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def set_hint(self, text: str) -> None:
        """Show `text` in the middle while the view is empty."""
        if text != self._hint:
            self._hint = text
            self.setAccessibleDescription(text)
            self.updateGeometry()
            self.viewport().update()

    def begin_turn(self, role: str, text: str) -> None:
        """Show a turn's text; what `append` adds then is the model's answer to it."""
        shown = text
        if len(text) > _SHOWN_PROMPT:
            half = _SHOWN_PROMPT // 2
            hidden = len(text) - 2 * half
            shown = f"{text[:half]}\n… {hidden:,} characters not shown …\n{text[-half:]}"
        pieces: list[tuple[str, str]] = []
        if not self.document().isEmpty():
            pieces.append(("\n\n", "text"))
        if role == "user":
            pieces.append(("You\n", "label"))
        pieces.append((shown, "dim"))
        self._labels_answer = role == "user"
        self._after_cr = False
        self.answer_start = None
        self.mark(None)
        self._insert(pieces)
        self.scroll_to_end()  # a new run is seen, wherever the user had scrolled to

    def give(self, text: str) -> None:
        """Show text that the answer goes on from, dimmed as the prompt is."""
        if text:
            label = [("\n\nModel\n", "label")] if self._labels_answer else []
            self._labels_answer = False
            self._insert([*label, (text, "dim")])

    def append(self, text: str) -> None:
        """Add a piece of the model's answer; the cost does not depend on the text's length."""
        if not text:
            return
        if self._labels_answer:
            self._labels_answer = False
            self._insert([("\n\nModel\n", "label")])
        if self.answer_start is None:
            self.answer_start = self.document().characterCount() - 1
        self._insert([(text, "text")])

    def end_turn(self) -> None:
        """Note that the answer is complete."""
        self._after_cr = False

    def set_marks(self, name: str, marks: Sequence[QTextEdit.ExtraSelection]) -> None:
        """Show marks over the text; those set earlier by the same name go."""
        if not marks and not self._marks[name]:
            return
        self._marks[name] = marks
        self.setExtraSelections([mark for named in self._marks.values() for mark in named])

    def breaks(self) -> list[int]:
        """Return where blocks begin after an inserted break, from the last answer's start."""
        start = self.answer_start or 0
        return paragraphs.breaks_after(self.document().findBlock(start), start)

    def visible_span(self) -> tuple[int, int]:
        """Return the positions of the first and the last character that can be seen."""
        corner = self.viewport().rect().bottomRight()
        first = self.cursorForPosition(QPoint(0, 0)).position()
        return first, self.cursorForPosition(corner).position()

    def rect_of(self, begin: int, end: int) -> QRect:
        """Return the place of a text's first line in this widget."""
        cursor = QTextCursor(self.document())
        cursor.setPosition(begin)
        rect = self.cursorRect(cursor)
        cursor.setPosition(end)
        last = self.cursorRect(cursor)
        if last.top() == rect.top():
            rect = rect.united(last)
        return rect.translated(self.viewport().pos())

    def clear_all(self) -> None:
        self._labels_answer = self._after_cr = False
        self.answer_start = None
        self.mark(None)
        for name in self._marks:
            self.set_marks(name, ())
        self.clear()
        self.updateGeometry()

    def scroll_to_end(self) -> None:
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum())

    def mark(self, difference: Difference | None) -> None:
        """Mark where the last answer differs from another; None: nothing."""
        if difference == self._difference:
            return
        self._difference = difference
        self._show_marks()

    # Overrides

    def minimumSizeHint(self) -> QSize:
        """Leave space for the whole hint while it is shown, at the narrowest width."""
        if not self._shows_hint():
            return _LEAST + _BORDER
        narrowest = QRect(0, 0, _LEAST.width(), 10_000).marginsRemoved(_AROUND_HINT)
        text = self.fontMetrics().boundingRect(narrowest, _HINT_FLAGS, self._hint)
        return _LEAST.expandedTo(text.marginsAdded(_AROUND_HINT).size()) + _BORDER

    def inputMethodQuery(  # type: ignore[override]  # noqa: N802  # Qt's name and virtual
        self, query: Qt.InputMethodQuery
    ) -> object:
        """Let a scroll area around show the whole hint instead of the cursor's place."""
        if query is Qt.InputMethodQuery.ImCursorRectangle and self._shows_hint():
            return self.rect()
        return super().inputMethodQuery(query)

    def createMimeDataFromSelection(self) -> QMimeData:
        return only_text(super().createMimeDataFromSelection(), self.selected_text())

    def selected_text(self) -> str:
        """Return the selection without the paragraph breaks that the view inserted."""
        cursor = self.textCursor()
        start, end = cursor.selectionStart(), cursor.selectionEnd()
        return paragraphs.text_between(self.document().findBlock(start), start, end)

    def resizeEvent(self, event: QResizeEvent) -> None:
        pinned = self._at_end()
        super().resizeEvent(event)
        if pinned:
            self.scroll_to_end()
        self._show_jump()
        self.resized.emit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        point = event.position().toPoint()
        cursor = self.cursorForPosition(point)
        place = self.cursorRect(cursor)
        position = cursor.position()
        if place.left() > point.x():
            position -= 1  # the nearest gap is the one after the character
        inside = place.top() <= point.y() <= place.bottom() and point.x() - place.right() < 20
        self.hovered.emit(position if inside and not event.buttons() else -1)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = self.createStandardContextMenu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.menu_opening.emit(menu)
        menu.popup(event.globalPos())

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.hovered.emit(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        before = self.textCursor().position()
        super().keyPressEvent(event)
        position = self.textCursor().position()
        if position != before:
            self.caret_moved.emit(position)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            self.chosen.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.caret_moved.emit(-1)

    def paintEvent(self, event: QPaintEvent) -> None:
        back = QPainter(self.viewport())
        back.fillRect(event.rect(), theme.color("surface"))
        back.end()
        super().paintEvent(event)
        if not self._shows_hint():
            return
        painter = QPainter(self.viewport())
        painter.setPen(theme.color("muted"))
        area = self.viewport().rect().marginsRemoved(_AROUND_HINT)
        painter.drawText(area, _HINT_FLAGS, self._hint)

    # Internals

    def _shows_hint(self) -> bool:
        return bool(self._hint) and self.document().isEmpty()

    def _insert(self, pieces: list[tuple[str, str]]) -> None:
        """Insert (text, format) pieces at the end as one edit block."""
        bar = self.verticalScrollBar()
        pinned, before = self._at_end(), bar.value()
        hinted = self._shows_hint()
        user = self.textCursor()
        anchor, position = user.anchor(), user.position()
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.beginEditBlock()
        for text, role in pieces:
            cursor.setCharFormat(_format(role))
            self._insert_text(cursor, text, _format(role))
        cursor.endEditBlock()
        moved = self.textCursor()
        if (moved.anchor(), moved.position()) != (anchor, position):
            # Inserting at the end moves a cursor that is there: restore it.
            user.setPosition(anchor)
            user.setPosition(position, QTextCursor.MoveMode.KeepAnchor)
            self.setTextCursor(user)
        bar.setValue(bar.maximum() if pinned else before)
        if hinted:
            self.updateGeometry()

    def _insert_text(self, cursor: QTextCursor, text: str, shape: QTextCharFormat) -> None:
        if self._after_cr and text.startswith("\n"):
            text = text[1:]
        self._after_cr = text.endswith("\r")
        paragraphs.insert(cursor, visible(text), shape)

    def _show_marks(self) -> None:
        """Draw the marks, which change nothing in the document."""
        difference, start = self._difference, self.answer_start
        if difference is None or start is None:
            self.set_marks("difference", [])
            return
        spans = difference.spans[:_MOST_MARKS]
        ends = sorted({end for span in (difference.first, *spans) for end in span})
        block = self.document().findBlock(start)
        places = dict(zip(ends, paragraphs.positions(block, start, ends), strict=True))
        marks = [self._marked(places[low], places[high], "warning") for low, high in spans]
        low, high = difference.first
        marks.append(self._marked(places[low], places[high], "danger"))
        self.set_marks("difference", marks)

    def _marked(self, low: int, high: int, tone: str) -> QTextEdit.ExtraSelection:
        cursor, shape = QTextCursor(self.document()), QTextCharFormat()
        cursor.setPosition(low)
        cursor.setPosition(high, QTextCursor.MoveMode.KeepAnchor)
        shape.setBackground(theme.color(f"{tone}_back"))
        shape.setUnderlineStyle(QTextCharFormat.UnderlineStyle.SingleUnderline)
        shape.setUnderlineColor(theme.color(tone))
        mark = QTextEdit.ExtraSelection()
        mark.cursor, mark.format = cursor, shape
        return mark

    def _at_end(self) -> bool:
        bar = self.verticalScrollBar()
        return bar.value() >= bar.maximum() - 1

    def _show_jump(self) -> None:
        self._to_end.setVisible(not self._at_end())
        if self._to_end.isVisible():
            size = self._to_end.sizeHint()
            area: QRect = self.viewport().geometry()
            self._to_end.setGeometry(
                area.right() - size.width() - 8,
                area.bottom() - size.height() - 8,
                size.width(),
                size.height(),
            )

    def _recolor(self) -> None:
        """Give labels, prompts and marks the new theme's colours."""
        self._show_marks()
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        block = self.document().begin()
        while block.isValid():
            iterator = block.begin()
            while not iterator.atEnd():
                fragment = iterator.fragment()
                role = fragment.charFormat().property(_ROLE)
                if role in ("dim", "label"):
                    cursor.setPosition(fragment.position())
                    cursor.setPosition(
                        fragment.position() + fragment.length(), QTextCursor.MoveMode.KeepAnchor
                    )
                    cursor.setCharFormat(_format(role))
                iterator += 1
            block = block.next()
        cursor.endEditBlock()


def visible(text: str) -> str:
    """Return a text as a view shows it: control characters have a glyph, and break nothing."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_SHOWN)


def _format(role: str) -> QTextCharFormat:
    shape = QTextCharFormat()
    if role == "text":
        return shape
    shape.setProperty(_ROLE, role)
    shape.setForeground(QColor(theme.color("muted")))
    if role == "label":
        shape.setFontWeight(QFont.Weight.DemiBold)
    return shape
