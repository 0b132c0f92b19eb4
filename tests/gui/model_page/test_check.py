"""Checking a model's files on its page: progress, cancel, damaged files fetched again."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.gui.downloads.controller import DownloadsController
from playground.gui.model_page.view import ModelPageView
from playground.hub.catalog import ModelRow
from playground.hub.local.cache import cached_models
from playground.hub.local.models import cached_row, folder_row
from tests.gui.model_page.support import FILES, OpenPage, click, hub_row, shown
from tests.support.hub_server import HubServer, Repository
from tests.support.tiny_model import write_files

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


@pytest.fixture
def row(qtbot: QtBot, hub: HubServer, home: Path, downloads: DownloadsController) -> ModelRow:
    """A model that was downloaded."""
    hub.add(Repository("owner/model", FILES))
    with qtbot.waitSignal(downloads.finished):
        downloads.add(ModelSpec("owner/model"))
    (cached,) = cached_models(hub.cache(home))
    return cached_row(cached)


def test_a_damaged_file_is_named_and_fetched_again(
    qtbot: QtBot,
    page_view: ModelPageView,
    open_page: OpenPage,
    row: ModelRow,
    downloads: DownloadsController,
) -> None:
    page, bar = open_page(), page_view.check
    shown(qtbot, page, row)
    page.check_files()
    assert bar.cancel_button.isVisible()
    qtbot.waitUntil(lambda: "as the Hub announces them" in bar.text.text())
    assert bar.check_button.isVisible()
    assert not bar.fetch_button.isVisible()
    assert row.folder is not None
    weights = row.folder / "model.safetensors"
    weights.resolve().write_bytes(bytes(len(FILES["model.safetensors"])))
    click(qtbot, bar.check_button)
    qtbot.waitUntil(lambda: "model.safetensors is damaged." in bar.text.text())
    assert bar.fetch_button.isVisible()
    with qtbot.waitSignal(page.page_shown), qtbot.waitSignal(downloads.finished):
        click(qtbot, bar.fetch_button)
    assert weights.read_bytes() == FILES["model.safetensors"]
    assert bar.text.text() == ""  # the page was read again


def test_a_check_can_be_stopped_and_ends_with_its_page(
    qtbot: QtBot,
    page_view: ModelPageView,
    open_page: OpenPage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_files(tmp_path / "mine", FILES)
    (folder / "model-2.safetensors").write_bytes(bytes(4 << 20))
    go_on, stopped = threading.Event(), threading.Event()

    def check_files(row: ModelRow, observe: object) -> None:
        """Read one piece, and the next ones when told so."""
        assert callable(observe)
        observe(1 << 20)
        go_on.wait()
        try:
            observe(1 << 20)
        except Exception:
            stopped.set()
            raise

    monkeypatch.setattr("playground.gui.model_page.check_controller.check_files", check_files)
    page, bar = open_page(), page_view.check
    for way in ("cancel", "turn"):
        go_on.clear()
        stopped.clear()
        shown(qtbot, page, folder_row(folder))
        page.check_files()
        qtbot.waitUntil(lambda: "24%" in bar.text.text())
        if way == "cancel":
            click(qtbot, bar.cancel_button)
            assert bar.text.text() == "Stopped before the end."
            assert bar.check_button.hasFocus()
            page.show_row(None)
        else:
            page.show_row(None)
        go_on.set()
        qtbot.waitUntil(stopped.is_set)
    assert not bar.isVisible()


def test_a_model_that_is_not_here_has_nothing_to_check(
    qtbot: QtBot, hub: HubServer, page_view: ModelPageView, open_page: OpenPage
) -> None:
    hub.add(Repository("owner/model", FILES))
    page = open_page()
    shown(qtbot, page, hub_row())
    page.check_files()
    assert page_view.files.isVisible()
    assert not page_view.check.isVisible()
