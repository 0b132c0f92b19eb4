"""Limits a model card's Markdown to what Qt can draw quickly, and draws it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from PySide6.QtGui import (
    QFont,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFragment,
    QTextFrameFormat,
    QTextTable,
)

from playground.gui.toolkit import theme
from playground.gui.toolkit.paragraphs import HARD_LENGTH

#: List items and headings: Qt's Markdown reader takes time quadratic in them (16 s for 25,000).
MOST_ITEMS = 1_500
#: Table cells: the layout takes a quarter of a millisecond for each.
MOST_CELLS = 1_500
#: Marks of emphasis, code and links: each becomes a fragment of its own.
MOST_MARKS = 10_000
#: The deepest nesting of lists and quotes; deeper ones would be drawn beyond the right edge.
_DEEPEST = 12
_ITEM = re.compile(r"[\s>]*(?:[-*+]|\d{1,9}[.)]|#{1,6})[ \t]")
_NESTED = re.compile(r"(?:[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+|[ \t]*>){%d,}" % (_DEEPEST + 1))  # noqa: UP031
_FEATURES = (
    QTextDocument.MarkdownFeature.MarkdownDialectGitHub
    | QTextDocument.MarkdownFeature.MarkdownNoHTML
)
#: Font size of headings one to six, in Qt's steps above the text's: +50 %, +20 %, none.
_HEADINGS = (2, 1, 0, 0, 0, 0)


def drawable(markdown: str) -> tuple[str, bool]:
    """Return the part of a card that can be drawn at once, and whether some of it was cut."""
    items = cells = marks = 0
    kept: list[str] = []
    # A line of this length is no readable table or code: it may be broken at a space.
    for line in re.sub(r"([^\n]{2000}) ", r"\1\n", markdown).split("\n"):
        if _NESTED.match(line):
            line = line.lstrip(" \t>-*+.)0123456789")
        items += bool(_ITEM.match(line))
        cells += line.count("|")
        marks += sum(map(line.count, "*_`["))
        if items > MOST_ITEMS or cells > MOST_CELLS or marks > MOST_MARKS:
            return "\n".join(kept), True
        kept.append(line)
    return "\n".join(kept), False


def draw(document: QTextDocument, markdown: str) -> None:
    """Fill a document with Markdown, in the window's fonts, with long paragraphs broken.

    No view may show the document yet: it would lay out every single change.
    """
    document.setUndoRedoEnabled(False)
    document.setDocumentMargin(8)
    document.setDefaultFont(theme.ui_font())
    document.setMarkdown(markdown, _FEATURES)
    document.setIndentWidth(22)
    cursor = QTextCursor(document)
    cursor.beginEditBlock()
    block = document.begin()
    while block.isValid():
        following = block.next()
        _dress(cursor, block)
        last = block.length() - 2  # the last position for a break
        for place in range(last - last % HARD_LENGTH, 0, -HARD_LENGTH):
            cursor.setPosition(block.position() + place)
            cursor.insertBlock()
        block = following
    cursor.endEditBlock()
    for frame in document.rootFrame().childFrames():
        if isinstance(frame, QTextTable):
            _dress_table(frame)


def _dress(cursor: QTextCursor, block: QTextBlock) -> None:
    """Give a paragraph the window's fonts, and headings and code their spacing."""
    level = block.blockFormat().headingLevel()
    code = block.blockFormat().hasProperty(QTextFormat.Property.BlockCodeFence)
    shape = QTextBlockFormat()
    if code:
        shape.setBackground(theme.color("raised"))
        shape.setNonBreakableLines(False)
        shape.setLeftMargin(8)
    elif level:
        shape.setTopMargin(0 if block.blockNumber() == 0 else 10)
        shape.setBottomMargin(4)
    if shape.propertyCount():
        cursor.setPosition(block.position())
        cursor.mergeBlockFormat(shape)
    if level:
        size = QTextCharFormat()
        size.setProperty(QTextFormat.Property.FontSizeAdjustment, _HEADINGS[min(level, 6) - 1])
        _merge(cursor, block.position(), block.length() - 1, size)
    for fragment in _fragments(block):
        given, letters = fragment.charFormat(), QTextCharFormat()
        if given.fontFixedPitch():
            letters.setFontFamilies(theme.mono_font().families())
        if given.fontWeight() > QFont.Weight.DemiBold:
            letters.setFontWeight(QFont.Weight.DemiBold)  # the bold weight that is shipped
        if letters.propertyCount():
            _merge(cursor, fragment.position(), fragment.length(), letters)


def _dress_table(table: QTextTable) -> None:
    shape = table.format()
    shape.setBorder(1)
    shape.setBorderCollapse(True)
    shape.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    shape.setBorderBrush(theme.color("outline"))
    shape.setCellPadding(4)
    shape.setCellSpacing(0)
    shape.setTopMargin(6)
    shape.setBottomMargin(6)
    table.setFormat(shape)


def _merge(cursor: QTextCursor, start: int, length: int, shape: QTextCharFormat) -> None:
    cursor.setPosition(start)
    cursor.setPosition(start + length, QTextCursor.MoveMode.KeepAnchor)
    cursor.mergeCharFormat(shape)


def _fragments(block: QTextBlock) -> Iterator[QTextFragment]:
    place = block.begin()
    while not place.atEnd():
        yield place.fragment()
        place += 1
