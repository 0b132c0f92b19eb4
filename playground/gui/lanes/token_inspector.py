"""Tells of a lane's token at the mouse or the text cursor, and shades them by probability."""

from __future__ import annotations

import math
from functools import partial

from PySide6.QtCore import QObject, QPoint, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QMenu, QTextEdit

from playground.gui.lanes.generation import Generation
from playground.gui.lanes.stream_view import StreamView
from playground.gui.lanes.token_panel import TokenPanel, percent, visible
from playground.gui.lanes.token_positions import TokenPositions
from playground.gui.toolkit import theme
from playground.gui.toolkit.widgets import announce

#: Background of a token whose probability is nearly 0 (alpha of 255); a certain one has none.
_STRONGEST = 90


class TokenInspector(QObject):
    """Tokens count from one, as in the plot; 0 is none."""

    pointed = Signal(int)  # the user points at this token in the text
    go_on = Signal(int, object)  # the Alternative to go on with instead of this token

    def __init__(self, stream: StreamView) -> None:
        super().__init__(stream)
        self._stream = stream
        self._generation: Generation | None = None
        self._positions = TokenPositions()
        self._number = 0
        self._coloured = False
        self.panel = TokenPanel(stream)
        # Only what is visible is shaded, once in a turn of the event loop.
        self._shading = QTimer(self, singleShot=True, interval=0)
        self._shading.timeout.connect(self._shade)
        stream.hovered.connect(self._hover)
        stream.caret_moved.connect(self._caret)
        stream.chosen.connect(self._open_menu)
        stream.menu_opening.connect(self._add_to_menu)
        stream.verticalScrollBar().valueChanged.connect(self._scrolled)
        stream.resized.connect(self._scrolled)
        theme.theme_changed.connect(self._scrolled)

    def follow(self, generation: Generation | None) -> None:
        """Take the tokens of the generation that the stream shows last, None for none."""
        if generation is not self._generation:
            self._generation = generation
            self._positions = TokenPositions()
            self._forget()
            self.mark(0)
        if self._coloured:
            self._shading.start()

    def set_coloured(self, on: bool) -> None:
        """Shade the tokens by their probability, or not."""
        self._coloured = on
        self._shading.start()

    @Slot(int)
    def mark(self, number: int) -> None:
        """Mark a token in the text, 0 for none; the panel tells of no other."""
        if number != self._number:
            self._forget()
        span = self._span(number) if number else None
        marks = []
        if span is not None and span[1] > span[0]:
            shape = QTextCharFormat()
            shape.setBackground(theme.color("accent"))
            shape.setForeground(theme.color("surface"))
            marks.append(self._selection(*span, shape))
        self._stream.set_marks("token", marks)

    # Pointing

    @Slot(int)
    def _hover(self, position: int) -> None:
        self._point(position, aloud=False)

    @Slot(int)
    def _caret(self, position: int) -> None:
        self._point(position, aloud=True)

    def _point(self, position: int, *, aloud: bool) -> None:
        number = self._number_at(position)
        if number == self._number:
            return
        if not number:
            self._forget()
            self.pointed.emit(0)
            return
        self._number = number
        self.mark(number)
        sentence = self._tell(number)
        if aloud:
            announce(self._stream, sentence)
        self.pointed.emit(number)

    def _tell(self, number: int) -> str:
        generation, span = self._generation, self._span(number)
        if generation is None or span is None:
            return ""
        at = number - 1
        detail = generation.details[at] if at < len(generation.details) else None
        token_id, text = generation.ids[at], generation.texts[at]
        # The piece released may hold back a part of a character.
        own = next((a.text for a in detail.top if a.id == token_id), text) if detail else text
        times = generation.trace.times
        gap = float(times[at] - (times[at - 1] if at else 0.0)) * 1e3
        place = self._stream.rect_of(*span)
        return self.panel.tell(number, token_id, own, gap, detail, place)

    def _forget(self) -> None:
        self._number = 0
        self.panel.hide()

    @Slot()
    def _scrolled(self) -> None:
        self.panel.hide()
        self._number = 0
        if self._coloured:
            self._shading.start()

    # Going on from a token

    def alternatives(self) -> QMenu | None:
        """Return a menu of the tokens to go on with instead of the one pointed at, or None."""
        at = self._number - 1
        generation = self._generation
        if generation is None or not generation.ended or not 0 <= at < len(generation.details):
            return None
        menu = QMenu("Continue from here &with", self._stream)
        for one in generation.details[at].top:
            shown = visible(one.text, one.id).replace("&", "&&")
            action = menu.addAction(f"{shown}\t{percent(one.logprob)}")
            action.setEnabled(one.id != generation.ids[at])
            action.triggered.connect(partial(self.go_on.emit, at + 1, one))
        return menu

    @Slot()
    def _open_menu(self) -> None:
        if (menu := self.alternatives()) is not None:
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            span = self._span(self._number)
            place = self._stream.rect_of(*span).bottomLeft() if span else QPoint()
            menu.popup(self._stream.mapToGlobal(place))
            for first in [a for a in menu.actions() if a.isEnabled()][:1]:
                menu.setActiveAction(first)

    @Slot(object)
    def _add_to_menu(self, menu: QMenu) -> None:
        if (alternatives := self.alternatives()) is not None:
            alternatives.setParent(menu, alternatives.windowFlags())
            menu.addSeparator()
            menu.addMenu(alternatives)

    # Positions

    def _number_at(self, position: int) -> int:
        start = self._start()
        if position < 0 or start is None:
            return 0
        token = self._positions.token_at(position - start, self._stream.breaks())
        return 0 if token is None else token + 1

    def _span(self, number: int) -> tuple[int, int] | None:
        """Return a token's place in the document, None where it has none."""
        start = self._start()
        if start is None or self._generation is None or number > len(self._generation.texts):
            return None
        first, last = self._positions.span(number - 1, self._stream.breaks())
        return start + first, start + last

    def _start(self) -> int | None:
        """Return where the answer begins in the document, after taking its new tokens."""
        if self._generation is None or self._stream.answer_start is None:
            return None
        self._positions.follow(self._generation.texts)
        return self._stream.answer_start

    # Shading

    @Slot()
    def _shade(self) -> None:
        self._stream.set_marks("probability", self._shades() if self._coloured else [])

    def _shades(self) -> list[QTextEdit.ExtraSelection]:
        start, generation = self._start(), self._generation
        if start is None or generation is None or not generation.details:
            return []
        first, last = self._stream.visible_span()
        breaks = self._stream.breaks()
        token = self._positions.token_at(max(0, first - start), breaks)
        shades = []
        for at in range(token or 0, len(generation.details)):
            begin, end = self._positions.span(at, breaks)
            if start + begin > last:
                break
            alpha = round(_STRONGEST * (1 - math.exp(generation.details[at].logprob)))
            if alpha > 4 and end > begin:
                colour = QColor(theme.color("warning"))
                colour.setAlpha(alpha)
                shape = QTextCharFormat()
                shape.setBackground(colour)
                shades.append(self._selection(start + begin, start + end, shape))
        return shades

    def _selection(self, begin: int, end: int, shape: QTextCharFormat) -> QTextEdit.ExtraSelection:
        cursor = QTextCursor(self._stream.document())
        cursor.setPosition(begin)
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
        selection = QTextEdit.ExtraSelection()
        selection.cursor, selection.format = cursor, shape
        return selection
