"""The field in which a prompt is written."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QKeyEvent,
    QTextCursor,
)
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from playground.core.errors import PlaygroundError
from playground.gui.prompt.text_file import read_text_file
from playground.gui.toolkit import paragraphs
from playground.gui.toolkit.drops import accept_copy, can_copy, local_paths
from playground.gui.toolkit.widgets import only_text


class PromptEdit(QPlainTextEdit):
    """A plain text field that returns exactly what was typed or pasted.

    A text file that is dropped or pasted inserts its text.
    """

    refused = Signal(object)  # a PlaygroundError: why a file was not inserted

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "input")
        self.setTabChangesFocus(True)

    def text(self) -> str:
        """Return the text; Qt's own `toPlainText` turns no-break spaces into spaces."""
        document = self.document()
        return paragraphs.text_between(document.begin(), 0, document.characterCount())

    def set_text(self, text: str) -> None:
        """Replace the text as one edit that can be undone; the cursor goes to its end.

        Lone surrogates, which Qt cannot store, become U+FFFD.
        """
        self.selectAll()
        self._insert(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
        self.moveCursor(QTextCursor.MoveOperation.End)

    def insertFromMimeData(self, source: QMimeData) -> None:
        try:
            paths = local_paths(source)
            text = "\n".join(map(read_text_file, paths)) if paths else source.text()
        except PlaygroundError as error:
            self.refused.emit(error)
            return
        if text:
            self._insert(text)
            self.ensureCursorVisible()

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        paths = local_paths(source)
        return all(path.is_file() for path in paths) if paths else source.hasText()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        super().dragEnterEvent(event)
        self._copy_from_outside(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        super().dragMoveEvent(event)
        self._copy_from_outside(event)

    def dropEvent(self, event: QDropEvent) -> None:
        if self._inside(event) or can_copy(event):
            super().dropEvent(event)
            self._copy_from_outside(event)

    def createMimeDataFromSelection(self) -> QMimeData:
        cursor = self.textCursor()
        start, end = cursor.selectionStart(), cursor.selectionEnd()
        text = paragraphs.text_between(self.document().findBlock(start), start, end)
        return only_text(super().createMimeDataFromSelection(), text)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        # Qt inserts a line separator for Shift+Enter, and copies the paragraph's format.
        plain = event.modifiers() in (
            Qt.KeyboardModifier.NoModifier,
            Qt.KeyboardModifier.ShiftModifier,
            Qt.KeyboardModifier.KeypadModifier,
        )
        if plain and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            paragraphs.insert_line_break(self.textCursor())
            self.ensureCursorVisible()
            return
        super().keyPressEvent(event)

    def _copy_from_outside(self, event: QDropEvent) -> None:
        """Let an accepted drop be a copy, unless a text is moved within the field."""
        if event.isAccepted() and not self._inside(event):
            accept_copy(event)

    def _inside(self, event: QDropEvent) -> bool:
        source = event.source()
        return isinstance(source, QWidget) and (source is self or self.isAncestorOf(source))

    def _insert(self, text: str) -> None:
        cursor = self.textCursor()
        cursor.beginEditBlock()
        cursor.removeSelectedText()
        paragraphs.insert(cursor, text.replace("\r\n", "\n").replace("\r", "\n"))
        cursor.endEditBlock()
