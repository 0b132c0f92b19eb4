"""Draws a model card, written by a stranger: no HTML, nothing loaded, no link followed."""

from __future__ import annotations

import re

from PySide6.QtCore import QSize, Qt, QUrl, Signal, Slot
from PySide6.QtGui import QImage, QTextDocument
from PySide6.QtWidgets import QFrame, QTextBrowser, QWidget

from playground.gui.model_page.card_markdown import draw
from playground.gui.toolkit import theme


class CardView(QTextBrowser):
    """`show_card` draws Markdown; a link that is clicked is only told, in `link_asked`."""

    link_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._markdown = ""
        self._card: QTextDocument | None = None  # Qt deletes the one it made itself
        self._nothing = QImage(QSize(1, 1), QImage.Format.Format_ARGB32_Premultiplied)
        self._nothing.fill(Qt.GlobalColor.transparent)
        self.setProperty("kind", "card")
        self.setAccessibleName("Model card")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.setOpenExternalLinks(False)
        self.anchorClicked.connect(self._clicked)
        theme.theme_changed.connect(self._redraw)

    def show_card(self, markdown: str) -> None:
        self._markdown = markdown
        self._redraw()
        self.verticalScrollBar().setValue(0)

    def loadResource(self, kind: int, name: QUrl | str) -> object:  # noqa: N802  # Qt's name
        # An image all the same: without one, Qt would open the name as a file by itself.
        return self._nothing

    @Slot()
    def _redraw(self) -> None:
        # Anew for another theme: the colour of links is fixed when they are read.
        before, self._card = self._card, QTextDocument(self)
        draw(self._card, self._markdown)
        self.setDocument(self._card)
        if before is not None:
            before.deleteLater()

    @Slot(QUrl)
    def _clicked(self, url: QUrl) -> None:
        if not url.path() and not url.host() and url.hasFragment():
            self._go_to(url.fragment())
        else:
            self.link_asked.emit(url.toString(QUrl.ComponentFormattingOption.FullyEncoded))

    def _go_to(self, name: str) -> None:
        """Scroll to a heading, by the name that the Hub gives it."""
        block = self.document().begin()
        while block.isValid():
            if block.blockFormat().headingLevel() and _anchor(block.text()) == name:
                top = self.document().documentLayout().blockBoundingRect(block).top()
                self.verticalScrollBar().setValue(round(top))
                return
            block = block.next()


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
