"""A model's page in the window: what it shows, what it offers, and all that is hostile."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from control_support import LONG
from PySide6.QtCore import QObject, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QImage, QTextCursor, QTextDocument
from PySide6.QtWidgets import QAbstractButton, QApplication, QWidget
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.core.precision import Precision
from playground.gui import theme
from playground.gui.background import Background
from playground.gui.browser_sources import HubPlace
from playground.gui.card_markdown import drawable
from playground.gui.downloads_controller import DownloadsController
from playground.gui.fit_controller import FitController
from playground.gui.links import LinkQuestion, web_link
from playground.gui.login_dialog import LoginDialog
from playground.gui.model_page_controller import ModelPageController
from playground.gui.views.card_view import CardView
from playground.gui.views.model_page_view import ModelPageView
from playground.gui.views.paragraphs import HARD_LENGTH
from playground.hub.cache import cached_models
from playground.hub.catalog import ModelRow, Where
from playground.hub.local_models import cached_row, folder_row, local_models
from tests.support.cached_model import put_snapshot
from tests.support.hub_server import Fault, HubServer, Repository
from tests.support.tiny_model import tiny_model_files, write_files

FILES = tiny_model_files()
CARD = b"""---
license: mit
base_model: base/model
model-index:
- name: owner/model
  results:
  - task: {type: text-generation, name: Text Generation}
    dataset: {name: GSM8K, type: gsm8k, args: {num_few_shot: 5}}
    metrics:
    - {type: acc, value: 63.3, name: accuracy bf16}
    source: {name: A leaderboard, url: 'https://example.com/board'}
---
# The model

Some *text* and a [paper](https://example.com/paper), [its docs](docs/x.md).
"""
Open = Callable[..., ModelPageController]
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


def hub_row(id_: str = "owner/model") -> ModelRow:
    return ModelRow(key=f"hub:{id_}", spec=ModelSpec(id_), where=Where.HUB, name=id_)


def quantized(hub: HubServer, id_: str, method: str, **settings: object) -> None:
    facts = {
        "config": {"quantization_config": {"quant_method": method, **settings}},
        "safetensors": {"parameters": {"I32": 1_000_000}},
    }
    hub.add(Repository(id_, FILES, tags=("base_model:quantized:owner/model",), facts=facts))


@pytest.fixture
def view(qtbot: QtBot) -> ModelPageView:
    made = ModelPageView()
    qtbot.addWidget(made)
    made.resize(580, 520)
    made.show()
    return made


@pytest.fixture
def open_page(
    background: Background,
    hub: HubServer,
    home: Path,
    view: ModelPageView,
    downloads: DownloadsController,
) -> Iterator[Open]:
    """Make the controller of the view; its Hub is the one on loopback."""
    made: list[ModelPageController] = []

    def begin(endpoint: str = "") -> ModelPageController:
        controller = ModelPageController(
            view,
            background,
            downloads,
            place=HubPlace(endpoint or hub.endpoint, hub.cache(home)),
            fit=FitController(view.fit, background, lambda: None),
        )
        made.append(controller)
        return controller

    yield begin
    for controller in made:
        controller.close()


def shown(qtbot: QtBot, page: ModelPageController, row: ModelRow) -> None:
    """Show a row and wait for its page and its versions."""
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        page.show_row(row)
    qtbot.waitUntil(lambda: "Asking" not in page.view.versions.state_text(), timeout=LONG)


def click(qtbot: QtBot, button: QAbstractButton) -> None:
    assert button.isVisible()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def cells(table: object) -> list[list[str]]:
    model = table.model()  # type: ignore[attr-defined]
    return [
        [model.index(row, column).data() for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]


def test_all_that_a_page_tells(
    qtbot: QtBot, hub: HubServer, view: ModelPageView, open_page: Open
) -> None:
    tokenizer = {"tokenizer_class": "LlamaTokenizerFast", "chat_template": "{{ messages }}"}
    files = FILES | {
        "README.md": CARD,
        "tokenizer_config.json": json.dumps(tokenizer).encode(),
        "pytorch_model.bin": b"x" * 5000,
    }
    tags = ("license:mit", "base_model:base/model", "base_model:finetune:base/model")
    facts = {"safetensors": {"parameters": {"BF16": 7_241_732_096}}}
    repository = hub.add(Repository("owner/model", files, tags=tags, facts=facts))
    page = open_page()
    shown(qtbot, page, hub_row())
    told = view.text()
    for fact in (
        "Parameters: 7.24 billion",
        "Stored as: bf16",
        "Context: 512 tokens",
        "Architecture: LlamaForCausalLM",
        "Licence: mit",
        "Access: open to all",
        "Chat template: yes",
        "Tokenizer: LlamaTokenizerFast",
        f"Version: {repository.refs['main'][:12]}",
        "Size to load: 120 kB",
    ):
        assert fact in told
    assert view.head.warnings_text() == ""
    assert view.card.toPlainText().startswith("The model\nSome text and a paper")
    assert not view.cut_shown()
    click(qtbot, view.sections.button("files"))
    assert view.files.isVisible()
    files_shown = cells(view.files)
    assert ["model.safetensors", "117 kB", "yes"] in files_shown
    assert ["pytorch_model.bin", "5.00 kB", ""] in files_shown
    click(qtbot, view.sections.button("results"))
    assert cells(view.results) == [
        ["GSM8K · accuracy bf16", "63.3", "bf16", "owner/model", "A leaderboard"]
    ]
    assert view.trial_button.isVisible()
    click(qtbot, view.sections.button("versions"))
    assert [button.text() for button in view.versions.base_buttons()] == ["base/model"]
    assert view.download_button.text().replace("&", "") == "Download 120 kB"
    assert not view.access_button.isVisible()
    assert not [request for request in hub.requests if "/cdn/" in request]


def test_a_result_leads_to_its_source_and_into_a_lane(
    qtbot: QtBot, hub: HubServer, view: ModelPageView, open_page: Open
) -> None:
    hub.add(Repository("owner/model", FILES | {"README.md": CARD}))
    page = open_page()
    shown(qtbot, page, hub_row())
    view.show_section("results")
    view.results.selectRow(0)
    qtbot.keyClick(view.results, Qt.Key.Key_Return)
    question = view.findChild(LinkQuestion)
    assert question is not None
    assert question.address == "https://example.com/board"
    question.reject()
    with qtbot.waitSignal(page.lanes_chosen) as chosen:
        click(qtbot, view.trial_button)
    assert chosen.args == [[(ModelSpec("owner/model"), Precision.BF16)]]


def test_one_click_puts_bf16_and_gptq_side_by_side(
    qtbot: QtBot, hub: HubServer, view: ModelPageView, open_page: Open
) -> None:
    hub.add(Repository("owner/model", FILES))
    quantized(hub, "a/model-GPTQ", "gptq", bits=4)
    quantized(hub, "a/model-nf4", "bitsandbytes", load_in_4bit=True)
    quantized(hub, "a/model-AWQ", "awq", bits=4)
    page = open_page()
    shown(qtbot, page, hub_row())
    assert "downloads 120 kB and 4.00 MB first" in view._first.text()
    with qtbot.waitSignal(page.lanes_chosen) as chosen:
        click(qtbot, view.compare_button)
    model = ModelSpec("owner/model")
    assert chosen.args == [[(model, Precision.BF16), (ModelSpec("a/model-GPTQ"), Precision.GPTQ)]]
    view.show_section("versions")
    view.versions.select("a/model-AWQ")
    assert not view.versions.compare_button.isEnabled()
    assert "No lane can run" in view.versions.state_text()
    view.versions.select("a/model-nf4")
    with qtbot.waitSignal(page.lanes_chosen) as chosen:
        click(qtbot, view.versions.compare_button)
    assert chosen.args == [[(model, Precision.BF16), (ModelSpec("a/model-nf4"), Precision.NF4)]]


def test_a_version_has_a_page_that_leads_back(
    qtbot: QtBot, hub: HubServer, view: ModelPageView, open_page: Open
) -> None:
    hub.add(Repository("owner/model", FILES))
    config = json.loads(FILES["config.json"]) | {
        "quantization_config": {"quant_method": "gptq", "bits": 4}
    }
    card = b"---\nbase_model: owner/model\nbase_model_relation: quantized\n---\nMade of it.\n"
    files = FILES | {"config.json": json.dumps(config).encode(), "README.md": card}
    tags = ("base_model:quantized:owner/model", "base_model:owner/model")
    hub.add(Repository("a/model-GPTQ", files, tags=tags))
    page = open_page()
    shown(qtbot, page, hub_row())
    view.show_section("versions")
    view.versions.select("a/model-GPTQ")
    with (
        qtbot.waitSignal(page.page_shown, timeout=LONG),
        qtbot.waitSignal(page.turned) as row,
    ):
        click(qtbot, view.versions.page_button)
    assert row.args[0].name == "a/model-GPTQ"
    assert "Stored as: GPTQ 4-bit" in view.text()
    with qtbot.waitSignal(page.lanes_chosen) as chosen:
        click(qtbot, view.compare_button)
    assert chosen.args == [
        [
            (ModelSpec("owner/model"), Precision.BF16),
            (ModelSpec("a/model-GPTQ"), Precision.GPTQ),
        ]
    ]
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        click(qtbot, view.head.back_button)
    assert page.row == hub_row()
    assert not view.head.back_button.isVisible()


def test_a_gated_model_says_where_to_ask(
    qtbot: QtBot, hub: HubServer, view: ModelPageView, open_page: Open
) -> None:
    hub.add(Repository("owner/model", FILES | {"README.md": CARD}, gated="manual"))
    page = open_page()
    shown(qtbot, page, hub_row())
    assert "Access: gated: its authors decide" in view.text()
    assert "is gated: its authors want to know who uses it" in view.head.warnings_text()
    assert view.head.warnings_text().count("could not be read") == 1
    assert "for those with access" in view.card.toPlainText()
    click(qtbot, view.access_button)
    question = view.findChild(LinkQuestion)
    assert question is not None
    assert question.address == f"{hub.endpoint}/owner/model"
    question.reject()
    click(qtbot, view.login_button)
    dialog = view.findChild(LoginDialog)
    assert dialog is not None
    dialog.reject()


def test_what_is_not_there_and_a_hub_in_trouble(
    qtbot: QtBot, hub: HubServer, view: ModelPageView, open_page: Open
) -> None:
    page = open_page()
    page.show_row(hub_row("owner/none"))
    qtbot.waitUntil(lambda: "knows no model owner/none" in view.text(), timeout=LONG)
    assert "Check the spelling" in view.text()
    assert not view.sections.isVisible()
    hub.add(Repository("owner/model", FILES))
    hub.add_fault(Fault("GET /api/models/owner/model", 503, times=1))
    page.show_row(hub_row())
    qtbot.waitUntil(lambda: "trouble of its own" in view.text(), timeout=LONG)
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        click(qtbot, view.retry_button)


def test_offline_what_is_here_has_its_page(
    qtbot: QtBot, hub: HubServer, home: Path, view: ModelPageView, open_page: Open
) -> None:
    put_snapshot(hub.cache(home), "owner/model", "c" * 40, FILES | {"README.md": CARD}, "main")
    with socket.socket() as unused:  # bound and not listening: refuses every connection
        unused.bind(("127.0.0.1", 0))
        page = open_page(f"http://127.0.0.1:{unused.getsockname()[1]}")
        (model,) = cached_models(hub.cache(home))
        shown(qtbot, page, cached_row(model))
        assert "Architecture: LlamaForCausalLM" in view.text()
        assert not view.download_button.isVisible()
        assert "not known" in view.versions.state_text()
        assert "cannot be reached" in view.versions.state_text()
        shown(qtbot, page, hub_row())  # a row of the Hub's list, too
        assert "This is the copy on this machine" in view.head.warnings_text()
        page.show_row(hub_row("owner/other"))
        qtbot.waitUntil(lambda: "cannot be reached" in view.text(), timeout=LONG)
        assert "can be used offline" in view.text()


def test_folders_have_the_same_page(
    qtbot: QtBot, hub: HubServer, tmp_path: Path, view: ModelPageView, open_page: Open
) -> None:
    folder = write_files(tmp_path / "mine", FILES | {"README.md": CARD})
    page = open_page()
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        page.show_row(folder_row(folder))
    assert f"Folder: {folder}" in view.text()
    assert view.card.toPlainText().startswith("The model")
    assert not view.head.web_button.isVisible()
    assert not view.compare_button.isVisible()
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        page.show_row(local_models()[0])
    with qtbot.waitSignal(page.lanes_chosen) as chosen:
        click(qtbot, view.compare_button)  # the GPTQ folder lies beside it
    assert chosen.args == [[(ModelSpec(), Precision.BF16), (ModelSpec(), Precision.GPTQ)]]
    assert not hub.requests
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    page.show_row(folder_row(folder))
    qtbot.waitUntil(lambda: "is not on this machine any more" in view.text(), timeout=LONG)


def test_it_says_whether_the_model_fits_once_somebody_looks(
    qtbot: QtBot, hub: HubServer, tmp_path: Path, view: ModelPageView, open_page: Open
) -> None:
    hub.add(Repository("owner/model", FILES))
    hub.add(Repository("owner/gated", FILES, gated="auto"))
    hub.add(Repository("owner/gguf", {"model.gguf": b"x"}))
    page = open_page()
    shown(qtbot, page, hub_row())
    assert not [request for request in hub.requests if "model.safetensors" in request]
    click(qtbot, view.sections.button("fit"))
    qtbot.waitUntil(lambda: "bf16: " in view.fit.text(), timeout=LONG)
    asked = [request for request in hub.requests if "model.safetensors" in request]
    shown(qtbot, page, hub_row("owner/gated"))  # the same section of the next page
    qtbot.waitUntil(lambda: "is gated" in view.fit.text(), timeout=LONG)
    shown(qtbot, page, hub_row("owner/gguf"))
    assert "GGUF" in view.fit.text()
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        page.show_row(folder_row(write_files(tmp_path / "mine", FILES)))
    qtbot.waitUntil(lambda: "GPTQ 4-bit: " in view.fit.text(), timeout=LONG)
    requests = [request for request in hub.requests if "model.safetensors" in request]
    assert [r for r in requests if "owner/model" in r] == [r for r in asked if "owner/model" in r]


def test_the_newest_wish_counts(
    qtbot: QtBot, hub: HubServer, view: ModelPageView, open_page: Open
) -> None:
    hold = hub.add_fault(Fault("GET /api/models/owner/slow", after=1))
    hub.add(Repository("owner/slow", FILES))
    hub.add(Repository("owner/model", FILES))
    page = open_page()
    page.show_row(hub_row("owner/slow"))
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    told: list[str] = []
    page.page_shown.connect(lambda found: told.append(found.row.name))
    for id_ in ("owner/one", "owner/two", "owner/model"):
        page.show_row(hub_row(id_))
    qtbot.waitUntil(lambda: bool(told), timeout=LONG)
    hold.release.set()
    assert view.head.title.full_text() == "owner/model"
    assert told == ["owner/model"]
    assert not [request for request in hub.requests if "/owner/one" in request]
    page.show_row(None)
    assert view.head.title.full_text() == "No model is selected."


def test_a_hostile_card_and_hostile_names(
    qtbot: QtBot, hub: HubServer, tmp_path: Path, view: ModelPageView, open_page: Open
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
    text = view.card.toPlainText()
    assert "alert" not in text.partition("long")[0].replace("js", "")
    assert "Title" in text
    assert view.cut_shown()
    assert len(text) < 200_000
    document = view.card.document()
    block = document.begin()
    while block.isValid():
        assert block.length() <= HARD_LENGTH + 1
        block = block.next()
    assert not [request for request in hub.requests if "spy" in request]
    assert "file:" not in document.toHtml()
    shown_names = [row[0] for row in cells(view.files)]
    assert "a�b.json" in shown_names
    assert "x�gpj.exe.json" in shown_names
    assert "<img src=x>.json" in shown_names
    tips = [
        view.files.model().index(n, 0).data(Qt.ItemDataRole.ToolTipRole)
        for n in range(len(shown_names))
    ]
    assert "<span>&lt;img src=x&gt;.json</span>" in tips
    assert "Licence: <img src='file:///x'>�" in view.text()


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
def test_what_a_view_would_choke_on_is_cut(markdown: str) -> None:
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
    qtbot: QtBot, hub: HubServer, view: ModelPageView, open_page: Open
) -> None:
    repository = hub.add(Repository("owner/model", FILES | {"README.md": CARD}))
    page = open_page()
    shown(qtbot, page, hub_row())
    visits = Visits()
    for scheme in ("https", "http", "file"):
        QDesktopServices.setUrlHandler(scheme, visits, "visit")  # type: ignore[arg-type]  # as it works
    try:
        click_anchor(view.card, "paper")
        question = view.findChild(LinkQuestion)
        assert question is not None
        assert question.address == "https://example.com/paper"
        assert visits.addresses == []
        click(qtbot, question.open_button)
        assert visits.addresses == ["https://example.com/paper"]
        view.linkRequested.emit("docs/x.md")
        question = next(q for q in view.findChildren(LinkQuestion) if q.isVisible())
        commit = repository.refs["main"]
        assert question.address == f"{hub.endpoint}/owner/model/blob/{commit}/docs/x.md"
        click(qtbot, question.copy_button)
        assert QApplication.clipboard().text() == question.address
        for bad in ("file:///bin/sh", "javascript:alert(1)", "mailto:a@b.c", "qrc:/x", ""):
            view.linkRequested.emit(bad)
            assert not [q for q in view.findChildren(LinkQuestion) if q.isVisible()]
        assert len(visits.addresses) == 1
    finally:
        for scheme in ("https", "http", "file"):
            QDesktopServices.unsetUrlHandler(scheme)


def test_addresses_are_shown_as_the_network_sees_them(qtbot: QtBot) -> None:
    url = web_link("https://ex\u00e4mple.com/\u202ea b")
    assert url is not None
    question = LinkQuestion(url, QWidget())
    qtbot.addWidget(question)
    assert question.address == "https://xn--exmple-cua.com/%E2%80%AEa%20b"
    assert web_link("x.md") is None
    assert web_link("https://") is None


def test_the_download_button_follows_the_queue(
    qtbot: QtBot,
    hub: HubServer,
    view: ModelPageView,
    open_page: Open,
    downloads: DownloadsController,
) -> None:
    hub.add(Repository("owner/model", FILES))
    hold = hub.add_fault(Fault("GET /cdn/", after=1000))
    page = open_page()
    shown(qtbot, page, hub_row())
    click(qtbot, view.download_button)
    assert not view.download_button.isEnabled()
    item = downloads.item(ModelSpec("owner/model"))
    assert item is not None
    assert item.commit == hub.repositories["owner/model"].refs["main"]
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        hold.release.set()
    assert not view.download_button.isVisible()


def test_the_page_follows_the_theme_and_can_be_used_with_keys(
    qtbot: QtBot, qapp: QApplication, hub: HubServer, view: ModelPageView, open_page: Open
) -> None:
    hub.add(Repository("owner/model", FILES | {"README.md": CARD}))
    quantized(hub, "a/model-GPTQ", "gptq", bits=4)
    page = open_page()
    shown(qtbot, page, hub_row())
    colours = set()
    for scheme in ("dark", "light"):
        theme.apply_theme(qapp, scheme)
        cursor = QTextCursor(view.card.document().find("paper"))
        colours.add(cursor.charFormat().foreground().color().name())
    assert colours == {theme.DARK.accent, theme.LIGHT.accent}
    for section in ("card", "versions", "results", "files"):
        click(qtbot, view.sections.button(section))
        reachable = [
            widget
            for widget in view.findChildren(QWidget)
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible()
        ]
        assert len(reachable) >= 5
        unnamed = [w for w in reachable if not (w.accessibleName() or getattr(w, "text", str)())]
        assert not unnamed


def click_anchor(card: CardView, text: str) -> None:
    """Click a link of the card, as Qt does."""
    cursor = card.document().find(text)
    card.anchorClicked.emit(QUrl(cursor.charFormat().anchorHref()))
