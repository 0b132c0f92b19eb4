"""A model's page in the window: what it shows, what it offers, and all that is hostile."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.core.precision import Precision
from playground.gui.downloads.controller import DownloadsController
from playground.gui.downloads.login_dialog import LoginDialog
from playground.gui.model_page.view import ModelPageView
from playground.gui.toolkit import theme
from playground.gui.toolkit.links import LinkQuestion
from playground.hub.local.cache import cached_models
from playground.hub.local.models import cached_row, folder_row, local_models
from tests.gui.model_page.support import (
    CARD,
    FILES,
    OpenPage,
    cells,
    click,
    hub_row,
    page_text,
    quantized,
    select_version,
    shown,
    warnings_text,
)
from tests.gui.support import LONG, chart_text
from tests.support.cached_model import put_snapshot
from tests.support.hub_server import Fault, HubServer, Repository
from tests.support.tiny_model import write_files

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


def test_everything_that_a_page_shows(
    qtbot: QtBot, hub: HubServer, page_view: ModelPageView, open_page: OpenPage
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
    text = page_text(page_view)
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
        assert fact in text
    assert warnings_text(page_view.head) == ""
    assert page_view.card.toPlainText().startswith("The model\nSome text and a paper")
    assert not page_view.cut.isVisible()
    click(qtbot, page_view.sections.button("files"))
    assert page_view.files.isVisible()
    files_shown = cells(page_view.files)
    assert ["model.safetensors", "117 kB", "yes"] in files_shown
    assert ["pytorch_model.bin", "5.00 kB", ""] in files_shown
    click(qtbot, page_view.sections.button("results"))
    assert cells(page_view.results) == [
        ["GSM8K · accuracy bf16", "63.3", "bf16", "owner/model", "A leaderboard"]
    ]
    assert page_view.trial_button.isVisible()
    click(qtbot, page_view.sections.button("versions"))
    assert [button.text() for button in page_view.versions.base_buttons] == ["base/model"]
    assert page_view.download_button.text().replace("&", "") == "Download 120 kB"
    assert not page_view.access_button.isVisible()
    assert not [request for request in hub.requests if "/cdn/" in request]


def test_every_word_of_a_result_is_shown(
    qapp: QApplication,
    qtbot: QtBot,
    hub: HubServer,
    page_view: ModelPageView,
    open_page: OpenPage,
) -> None:
    theme.apply_theme(qapp, "light")
    card = CARD.replace(b"accuracy bf16", b"inst_level_strict_acc and prompt_level_strict_acc")
    card = card.replace(b"A leaderboard", b"Open LLM Leaderboard")
    hub.add(Repository("owner/model", FILES | {"README.md": card}))
    shown(qtbot, open_page(), hub_row())
    page_view.show_section("results")
    table, rows = page_view.results, page_view.results.rows
    one_line = table.fontMetrics().height()
    qtbot.waitUntil(lambda: table.rowHeight(0) >= 2 * one_line)
    texts = cells(table)[0]
    for column, text in enumerate(texts):
        room = QRect(0, 0, table.columnWidth(column) - 22, table.rowHeight(0))
        needed = table.fontMetrics().boundingRect(room, int(Qt.TextFlag.TextWordWrap), text)
        assert room.contains(needed), text
    # A card may have a thousand of them, and measuring all would stop the window.
    rows.set_rows([tuple(texts)] * 1000, ["all of it"] * 1000)
    assert table.rowHeight(999) > 2 * one_line
    assert rows.index(999, 4).data(Qt.ItemDataRole.ToolTipRole) == "all of it"


def test_a_result_leads_to_its_source_and_into_a_lane(
    qtbot: QtBot, hub: HubServer, page_view: ModelPageView, open_page: OpenPage
) -> None:
    hub.add(Repository("owner/model", FILES | {"README.md": CARD}))
    page = open_page()
    shown(qtbot, page, hub_row())
    page_view.show_section("results")
    page_view.results.selectRow(0)
    qtbot.keyClick(page_view.results, Qt.Key.Key_Return)
    question = page_view.findChild(LinkQuestion)
    assert question is not None
    assert question.address == "https://example.com/board"
    question.reject()
    with qtbot.waitSignal(page.lanes_chosen) as chosen:
        click(qtbot, page_view.trial_button)
    assert chosen.args == [[(ModelSpec("owner/model"), Precision.BF16)]]


def test_one_click_puts_bf16_and_gptq_side_by_side(
    qtbot: QtBot, hub: HubServer, page_view: ModelPageView, open_page: OpenPage
) -> None:
    hub.add(Repository("owner/model", FILES))
    quantized(hub, "a/model-GPTQ", "gptq", bits=4)
    quantized(hub, "a/model-nf4", "bitsandbytes", load_in_4bit=True)
    quantized(hub, "a/model-AWQ", "awq", bits=4)
    page = open_page()
    shown(qtbot, page, hub_row())
    assert "downloads 120 kB and 4.00 MB first" in page_view.first.text()
    with qtbot.waitSignal(page.lanes_chosen) as chosen:
        click(qtbot, page_view.compare_button)
    model = ModelSpec("owner/model")
    assert chosen.args == [[(model, Precision.BF16), (ModelSpec("a/model-GPTQ"), Precision.GPTQ)]]
    page_view.show_section("versions")
    select_version(page_view.versions, "a/model-AWQ")
    assert not page_view.versions.compare_button.isEnabled()
    assert "No lane can run" in page_view.versions.state.text()
    select_version(page_view.versions, "a/model-nf4")
    with qtbot.waitSignal(page.lanes_chosen) as chosen:
        click(qtbot, page_view.versions.compare_button)
    assert chosen.args == [[(model, Precision.BF16), (ModelSpec("a/model-nf4"), Precision.NF4)]]


def test_a_version_has_a_page_that_leads_back(
    qtbot: QtBot, hub: HubServer, page_view: ModelPageView, open_page: OpenPage
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
    page_view.show_section("versions")
    select_version(page_view.versions, "a/model-GPTQ")
    with (
        qtbot.waitSignal(page.page_shown, timeout=LONG),
        qtbot.waitSignal(page.turned) as row,
    ):
        click(qtbot, page_view.versions.page_button)
    assert row.args[0].name == "a/model-GPTQ"
    assert "Stored as: GPTQ 4-bit" in page_text(page_view)
    with qtbot.waitSignal(page.lanes_chosen) as chosen:
        click(qtbot, page_view.compare_button)
    assert chosen.args == [
        [
            (ModelSpec("owner/model"), Precision.BF16),
            (ModelSpec("a/model-GPTQ"), Precision.GPTQ),
        ]
    ]
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        click(qtbot, page_view.head.back_button)
    assert page.row == hub_row()
    assert not page_view.head.back_button.isVisible()


def test_a_gated_model_says_where_to_ask(
    qtbot: QtBot, hub: HubServer, page_view: ModelPageView, open_page: OpenPage
) -> None:
    hub.add(Repository("owner/model", FILES | {"README.md": CARD}, gated="manual"))
    page = open_page()
    shown(qtbot, page, hub_row())
    assert "Access: gated: its authors decide" in page_text(page_view)
    assert "is gated: its authors want to know who uses it" in warnings_text(page_view.head)
    assert warnings_text(page_view.head).count("could not be read") == 1
    assert "users with access" in page_view.card.toPlainText()
    click(qtbot, page_view.access_button)
    question = page_view.findChild(LinkQuestion)
    assert question is not None
    assert question.address == f"{hub.endpoint}/owner/model"
    question.reject()
    click(qtbot, page_view.login_button)
    dialog = page_view.findChild(LoginDialog)
    assert dialog is not None
    dialog.reject()


def test_an_unknown_model_and_a_failing_hub(
    qtbot: QtBot, hub: HubServer, page_view: ModelPageView, open_page: OpenPage
) -> None:
    page = open_page()
    page.show_row(hub_row("owner/none"))
    qtbot.waitUntil(lambda: "knows no model owner/none" in page_text(page_view), timeout=LONG)
    assert "Check the spelling" in page_text(page_view)
    assert not page_view.sections.isVisible()
    hub.add(Repository("owner/model", FILES))
    hub.add_fault(Fault("GET /api/models/owner/model", 503, times=1))
    page.show_row(hub_row())
    qtbot.waitUntil(lambda: "trouble of its own" in page_text(page_view), timeout=LONG)
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        click(qtbot, page_view.retry_button)


def test_offline_a_model_of_this_machine_has_its_page(
    qtbot: QtBot, hub: HubServer, home: Path, page_view: ModelPageView, open_page: OpenPage
) -> None:
    put_snapshot(hub.cache(home), "owner/model", "c" * 40, FILES | {"README.md": CARD}, "main")
    with socket.socket() as unused:  # bound and not listening: refuses every connection
        unused.bind(("127.0.0.1", 0))
        page = open_page(f"http://127.0.0.1:{unused.getsockname()[1]}")
        (model,) = cached_models(hub.cache(home))
        shown(qtbot, page, cached_row(model))
        assert "Architecture: LlamaForCausalLM" in page_text(page_view)
        assert not page_view.download_button.isVisible()
        assert "not known" in page_view.versions.state.text()
        assert "cannot be reached" in page_view.versions.state.text()
        shown(qtbot, page, hub_row())  # a row of the Hub's list, too
        assert "This is the copy on this machine" in warnings_text(page_view.head)
        page.show_row(hub_row("owner/other"))
        qtbot.waitUntil(lambda: "cannot be reached" in page_text(page_view), timeout=LONG)
        assert "can be used offline" in page_text(page_view)


def test_folders_have_the_same_page(
    qtbot: QtBot, hub: HubServer, tmp_path: Path, page_view: ModelPageView, open_page: OpenPage
) -> None:
    folder = write_files(tmp_path / "mine", FILES | {"README.md": CARD})
    page = open_page()
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        page.show_row(folder_row(folder))
    assert f"Folder: {folder}" in page_text(page_view)
    assert page_view.card.toPlainText().startswith("The model")
    assert not page_view.head.web_button.isVisible()
    assert not page_view.compare_button.isVisible()
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        page.show_row(local_models()[0])
    with qtbot.waitSignal(page.lanes_chosen) as chosen:
        click(qtbot, page_view.compare_button)  # the GPTQ folder lies beside it
    assert chosen.args == [[(ModelSpec(), Precision.BF16), (ModelSpec(), Precision.GPTQ)]]
    assert not hub.requests
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    page.show_row(folder_row(folder))
    qtbot.waitUntil(lambda: "is not on this machine any more" in page_text(page_view), timeout=LONG)


def test_the_memory_chart_is_filled_when_it_is_opened(
    qtbot: QtBot, hub: HubServer, tmp_path: Path, page_view: ModelPageView, open_page: OpenPage
) -> None:
    hub.add(Repository("owner/model", FILES))
    hub.add(Repository("owner/gated", FILES, gated="auto"))
    hub.add(Repository("owner/gguf", {"model.gguf": b"x"}))
    page = open_page()
    shown(qtbot, page, hub_row())
    assert not [request for request in hub.requests if "model.safetensors" in request]
    click(qtbot, page_view.sections.button("memory"))
    qtbot.waitUntil(lambda: "bf16: " in chart_text(page_view.memory), timeout=LONG)
    asked = [request for request in hub.requests if "model.safetensors" in request]
    shown(qtbot, page, hub_row("owner/gated"))  # the same section of the next page
    qtbot.waitUntil(lambda: "is gated" in chart_text(page_view.memory), timeout=LONG)
    shown(qtbot, page, hub_row("owner/gguf"))
    assert "GGUF" in chart_text(page_view.memory)
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        page.show_row(folder_row(write_files(tmp_path / "mine", FILES)))
    qtbot.waitUntil(lambda: "GPTQ 4-bit: " in chart_text(page_view.memory), timeout=LONG)
    requests = [request for request in hub.requests if "model.safetensors" in request]
    assert [r for r in requests if "owner/model" in r] == [r for r in asked if "owner/model" in r]


def test_the_newest_request_counts(
    qtbot: QtBot, hub: HubServer, page_view: ModelPageView, open_page: OpenPage
) -> None:
    hold = hub.add_fault(Fault("GET /api/models/owner/slow", after=1))
    hub.add(Repository("owner/slow", FILES))
    hub.add(Repository("owner/model", FILES))
    page = open_page()
    page.show_row(hub_row("owner/slow"))
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    names: list[str] = []
    page.page_shown.connect(lambda found: names.append(found.row.name))
    for id_ in ("owner/one", "owner/two", "owner/model"):
        page.show_row(hub_row(id_))
    qtbot.waitUntil(lambda: bool(names), timeout=LONG)
    hold.release.set()
    assert page_view.head.title.full_text() == "owner/model"
    assert names == ["owner/model"]
    assert not [request for request in hub.requests if "/owner/one" in request]
    page.show_row(None)
    assert page_view.head.title.full_text() == "No model is selected."


def test_the_download_button_follows_the_queue(
    qtbot: QtBot,
    hub: HubServer,
    page_view: ModelPageView,
    open_page: OpenPage,
    downloads: DownloadsController,
) -> None:
    hub.add(Repository("owner/model", FILES))
    hold = hub.add_fault(Fault("GET /cdn/", after=1000))
    page = open_page()
    shown(qtbot, page, hub_row())
    click(qtbot, page_view.download_button)
    assert not page_view.download_button.isEnabled()
    item = downloads.item(ModelSpec("owner/model"))
    assert item is not None
    assert item.commit == hub.repositories["owner/model"].refs["main"]
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    with qtbot.waitSignal(page.page_shown, timeout=LONG):
        hold.release.set()
    assert not page_view.download_button.isVisible()


def test_the_page_follows_the_theme_and_can_be_used_with_keys(
    qtbot: QtBot, qapp: QApplication, hub: HubServer, page_view: ModelPageView, open_page: OpenPage
) -> None:
    hub.add(Repository("owner/model", FILES | {"README.md": CARD}))
    quantized(hub, "a/model-GPTQ", "gptq", bits=4)
    page = open_page()
    shown(qtbot, page, hub_row())
    colours = set()
    for scheme in ("dark", "light"):
        theme.apply_theme(qapp, scheme)
        cursor = QTextCursor(page_view.card.document().find("paper"))
        colours.add(cursor.charFormat().foreground().color().name())
    assert colours == {theme.DARK.accent, theme.LIGHT.accent}
    for section in ("card", "versions", "results", "files"):
        click(qtbot, page_view.sections.button(section))
        reachable = [
            widget
            for widget in page_view.findChildren(QWidget)
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible()
        ]
        assert len(reachable) >= 5
        unnamed = [w for w in reachable if not (w.accessibleName() or getattr(w, "text", str)())]
        assert not unnamed
