"""A model's card in the window: nothing is loaded, and links are shown first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QImage, QTextDocument
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from playground.gui.model_page.card_markdown import drawable
from playground.gui.model_page.card_view import CardView
from playground.gui.model_page.view import ModelPageView
from playground.gui.toolkit.links import LinkQuestion, web_link
from playground.gui.toolkit.paragraphs import HARD_LENGTH
from tests.gui.model_page.support import (
    CARD,
    FILES,
    OpenPage,
    cells,
    click,
    hub_row,
    page_text,
    shown,
)
from tests.support.hub_server import HubServer, Repository

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


def test_a_hostile_card_and_hostile_names(
    qtbot: QtBot, hub: HubServer, tmp_path: Path, page_view: ModelPageView, open_page: OpenPage
) -> None:
    secret = tmp_path / "secret.png"
    QImage(50, 50, QImage.Format.Format_RGB32).save(str(secret))
    card = f"""<script>alert(1)</script>
# <img src="{hub.endpoint}/api/spy"> Title

![spy]({hub.endpoint}/api/spy) ![file](file://{secret}) ![short]

[short]: {secret}

[run](file:///bin/sh) [js](javascript:alert(1)) <b>bold</b>

"""
    names = {"a\nb.json": b"{}", "x\u202egpj.exe.json": b"{}", "<img src=x>.json": b"{}"}
    hub.add(
        Repository(
            "owner/model",
            FILES | names | {"README.md": (card + "long " * 2_000_000).encode()},
            facts={"tags": ["license:<img src='file:///x'>\u202e"]},
        )
    )
    page = open_page()
    shown(qtbot, page, hub_row())
    text = page_view.card.toPlainText()
    assert "alert" not in text.partition("long")[0].replace("js", "")
    assert "Title" in text
    assert page_view.cut.isVisible()
    assert len(text) < 200_000
    document = page_view.card.document()
    block = document.begin()
    while block.isValid():
        assert block.length() <= HARD_LENGTH + 1
        block = block.next()
    assert not [request for request in hub.requests if "spy" in request]
    assert "file:" not in document.toHtml()
    shown_names = [row[0] for row in cells(page_view.files)]
    assert "a�b.json" in shown_names
    assert "x�gpj.exe.json" in shown_names
    assert "<img src=x>.json" in shown_names
    tips = [
        page_view.files.model().index(n, 0).data(Qt.ItemDataRole.ToolTipRole)
        for n in range(len(shown_names))
    ]
    assert "<span>&lt;img src=x&gt;.json</span>" in tips
    assert "Licence: <img src='file:///x'>�" in page_text(page_view)


def test_nothing_is_loaded_even_where_an_image_is_left(qtbot: QtBot, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    QImage(64, 64, QImage.Format.Format_RGB32).save(str(picture))
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)  # reading it would never end
    card = CardView()
    qtbot.addWidget(card)
    card.resize(300, 200)
    card.show()
    card.show_card(f"![one]({picture}) ![two](file://{picture}) ![three]({pipe})")
    card.grab()
    assert card.document().size().height() < 64
    for name in (str(picture), f"file://{picture}", "https://example.com/x.png"):
        loaded = card.document().resource(
            QTextDocument.ResourceType.ImageResource.value, QUrl(name)
        )
        assert isinstance(loaded, QImage)
        assert (loaded.width(), loaded.height()) == (1, 1)


@pytest.mark.parametrize(
    "markdown",
    ["- a\n" * 25_000, "# a\n" * 25_000, "|" + "a|" * 49_000, "*a* " * 25_000, "> " * 50_000],
)
def test_markdown_that_would_block_the_view_is_cut(markdown: str) -> None:
    text, cut = drawable(markdown)
    assert len(text) < len(markdown)
    assert cut or markdown.startswith(">")
    honest = "\n".join(["| a | b |", "|---|---|", "| 1 | 2 |", "- item " * 3, "word " * 300])
    assert drawable(honest) == (honest, False)


class Visits(QObject):
    """Takes the place of the browser, and notes where it was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    @Slot(QUrl)
    def visit(self, url: QUrl) -> None:
        self.addresses.append(url.toString())


def test_links_are_shown_before_they_are_followed(
    qtbot: QtBot, hub: HubServer, page_view: ModelPageView, open_page: OpenPage
) -> None:
    repository = hub.add(Repository("owner/model", FILES | {"README.md": CARD}))
    page = open_page()
    shown(qtbot, page, hub_row())
    visits = Visits()
    for scheme in ("https", "http", "file"):
        QDesktopServices.setUrlHandler(scheme, visits, "visit")  # type: ignore[arg-type]  # as it works
    try:
        click_anchor(page_view.card, "paper")
        question = page_view.findChild(LinkQuestion)
        assert question is not None
        assert question.address == "https://example.com/paper"
        assert visits.addresses == []
        click(qtbot, question.open_button)
        assert visits.addresses == ["https://example.com/paper"]
        page_view.card.link_clicked.emit("docs/x.md")
        question = next(q for q in page_view.findChildren(LinkQuestion) if q.isVisible())
        commit = repository.refs["main"]
        assert question.address == f"{hub.endpoint}/owner/model/blob/{commit}/docs/x.md"
        click(qtbot, question.copy_button)
        assert QApplication.clipboard().text() == question.address
        for bad in ("file:///bin/sh", "javascript:alert(1)", "mailto:a@b.c", "qrc:/x", ""):
            page_view.card.link_clicked.emit(bad)
            assert not [q for q in page_view.findChildren(LinkQuestion) if q.isVisible()]
        assert len(visits.addresses) == 1
    finally:
        for scheme in ("https", "http", "file"):
            QDesktopServices.unsetUrlHandler(scheme)


def test_addresses_are_shown_as_dns_sees_them(qtbot: QtBot) -> None:
    url = web_link("https://ex\u00e4mple.com/\u202ea b")
    assert url is not None
    question = LinkQuestion(url, QWidget())
    qtbot.addWidget(question)
    assert question.address == "https://xn--exmple-cua.com/%E2%80%AEa%20b"
    assert web_link("x.md") is None
    assert web_link("https://") is None


def click_anchor(card: CardView, text: str) -> None:
    """Click a link of the card, as Qt does."""
    cursor = card.document().find(text)
    card.anchorClicked.emit(QUrl(cursor.charFormat().anchorHref()))
