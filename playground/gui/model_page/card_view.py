"""Draws a model card: no HTML, nothing is loaded, and no link is followed by itself."""

from __future__ import annotations

import re

from PySide6.QtCore import QSize, Qt, QUrl, Signal, Slot
from PySide6.QtGui import QImage, QTextDocument
from PySide6.QtWidgets import QFrame, QTextBrowser, QWidget

from playground.gui.model_page.card_markdown import draw
from playground.gui.toolkit import theme


class CardView(QTextBrowser):
    """Draws untrusted Markdown; a click on a link only emits `link_clicked`."""

    link_clicked = Signal(str)  # the address, fully encoded

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._markdown = ""
        self._card: QTextDocument | None = None  # the one created here; Qt deletes its own
        self._blank = QImage(QSize(1, 1), QImage.Format.Format_ARGB32_Premultiplied)
        self._blank.fill(Qt.GlobalColor.transparent)
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
        # A blank image: for None, Qt would open the name as a file itself.
        return self._blank

    @Slot()
    def _redraw(self) -> None:
        # Also for another theme: the colour of links is fixed when Markdown is read.
        old, self._card = self._card, QTextDocument(self)
        draw(self._card, self._markdown)
        self.setDocument(self._card)
        if old is not None:
            old.deleteLater()

    @Slot(QUrl)
    def _clicked(self, url: QUrl) -> None:
        if not url.path() and not url.host() and url.hasFragment():
            self._go_to(url.fragment())
        else:
            self.link_clicked.emit(url.toString(QUrl.ComponentFormattingOption.FullyEncoded))

    def _go_to(self, name: str) -> None:
        """Scroll to a heading by the anchor that the Hub gives it."""
        block = self.document().begin()
        while block.isValid():
            if block.blockFormat().headingLevel() and _anchor(block.text()) == name:
                top = self.document().documentLayout().blockBoundingRect(block).top()
                self.verticalScrollBar().setValue(round(top))
                return
            block = block.next()


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
