"""Keeps Qt's text views quick: long paragraphs are broken in the view, and mended on reading.

A view lays a paragraph out anew at every change in it, which takes 100 ms at 132,000
characters and minutes at a million.
"""

from __future__ import annotations

from PySide6.QtGui import QTextBlock, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextFormat

#: Length of a paragraph from which on it is broken at a space …
SOFT_LENGTH = 1_600
#: … and at which it is broken anywhere.
HARD_LENGTH = 2_000
#: Set in the format of a block that began because of a break of ours; undo keeps it.
_BROKEN = QTextFormat.Property.UserProperty + 2


def insert(cursor: QTextCursor, text: str, shape: QTextCharFormat | None = None) -> None:
    """Insert lines at the cursor, breaking paragraphs that would get too long."""
    shape = shape or QTextCharFormat()
    for number, line in enumerate(text.split("\n")):
        if number:
            insert_line_break(cursor)
        for piece_number, piece in enumerate(_pieces(line, cursor.block().length() - 1)):
            if piece_number:
                broken = QTextBlockFormat()
                broken.setProperty(_BROKEN, True)
                cursor.insertBlock(broken)
            if piece:
                cursor.insertText(piece, shape)


def insert_line_break(cursor: QTextCursor) -> None:
    """Begin a line that is meant; Qt's own would take over the mark of the block it is in."""
    cursor.insertBlock(QTextBlockFormat())


def text_between(block: QTextBlock, start: int, end: int) -> str:
    """The text of two positions, from `block` (that of `start`) on, without our breaks."""
    parts: list[str] = []
    while block.isValid() and block.position() <= end:
        if parts and not block.blockFormat().boolProperty(_BROKEN):
            parts.append("\n")
        parts.append(_part(block, start, end))
        block = block.next()
    return "".join(parts).replace("\u2028", "\n")


def _pieces(line: str, used: int) -> list[str]:
    """Cut a line that follows `used` characters; all but the last piece are full."""
    pieces: list[str] = []
    place = 0
    while True:
        soft, hard = max(0, SOFT_LENGTH - used), max(0, HARD_LENGTH - used)
        if len(line) - place <= soft:
            break
        space = line.find(" ", place + soft, place + hard)
        if space < 0 and len(line) - place <= hard:
            break
        cut = space + 1 if space >= 0 else place + hard
        pieces.append(line[place:cut])
        place, used = cut, 0
    return [*pieces, line[place:]]


def _part(block: QTextBlock, start: int, end: int) -> str:
    """The block's text between two positions of the document, which count UTF-16 units."""
    text = block.text()
    first, last = start - block.position(), end - block.position()
    if first <= 0 and last >= block.length() - 1:
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    return units[2 * max(0, first) : 2 * max(0, last)].decode("utf-16-le", "replace")
