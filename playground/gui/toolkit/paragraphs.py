"""Keeps Qt's text views fast: breaks long paragraphs in the view, and rejoins them when read.

A view lays out a paragraph again at every change in it, which takes 100 ms at 132,000
characters and minutes at a million.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QTextBlock, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextFormat

#: A paragraph of this length is broken at its next space …
SOFT_LENGTH = 1_600
#: … and at this length anywhere.
HARD_LENGTH = 2_000
#: Marks a block that begins after an inserted break; the mark survives undo and redo.
_BROKEN = QTextFormat.Property.UserProperty + 2


def insert(cursor: QTextCursor, text: str, shape: QTextCharFormat | None = None) -> None:
    """Insert lines at the cursor, breaking paragraphs that would become too long."""
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
    """Insert a line break of the text, which unlike Qt's does not copy the block's mark."""
    cursor.insertBlock(QTextBlockFormat())


def text_between(block: QTextBlock, start: int, end: int) -> str:
    """Return the text from `start` to `end`, without the breaks inserted here.

    The positions count UTF-16 units, as Qt's do; `block` is the one that holds `start`.
    """
    parts: list[str] = []
    while block.isValid() and block.position() <= end:
        if parts and not block.blockFormat().boolProperty(_BROKEN):
            parts.append("\n")
        parts.append(_part(block, start, end))
        block = block.next()
    return "".join(parts).replace("\u2028", "\n")


def positions(block: QTextBlock, start: int, offsets: Sequence[int]) -> list[int]:
    """Return the document's positions of characters of a text that begins at `start`.

    `offsets` ascend; they count characters, breaks inserted here left out. Positions count
    UTF-16 units. What lies behind the end is there.
    """
    found: list[int] = []
    pending = iter(offsets)
    offset = next(pending, None)
    count, end = 0, start
    while block.isValid() and offset is not None:
        text, base = block.text(), block.position()
        if base < start:
            text, base = _part(block, start, base + block.length() - 1), start
        while offset is not None and offset <= count + len(text):
            found.append(base + len(text[: offset - count].encode("utf-16-le")) // 2)
            offset = next(pending, None)
        count += len(text)
        block = block.next()
        if not block.blockFormat().boolProperty(_BROKEN):
            count += 1
        end = base + len(text.encode("utf-16-le")) // 2
    while offset is not None:
        found.append(end)
        offset = next(pending, None)
    return found


def breaks_after(block: QTextBlock, start: int) -> list[int]:
    """Return where blocks begin after a break inserted here, from `start`, which `block` holds."""
    found: list[int] = []
    block = block.next()
    while block.isValid():
        if block.blockFormat().boolProperty(_BROKEN):
            found.append(block.position() - start)
        block = block.next()
    return found


def _pieces(line: str, used: int) -> list[str]:
    """Cut a line that follows `used` characters of its paragraph; only the last piece is short."""
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
    """Return the block's text between two positions of the document."""
    text = block.text()
    first, last = start - block.position(), end - block.position()
    if first <= 0 and last >= block.length() - 1:
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    return units[2 * max(0, first) : 2 * max(0, last)].decode("utf-16-le", "replace")
