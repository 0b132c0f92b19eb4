"""The model picker as a user with mouse, keyboard and files sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.core.settings import SettingsStore
from playground.gui.context import AppContext
from playground.gui.models.choice import ModelChoice
from playground.gui.models.picker import ModelPicker, PickerTarget
from playground.hub.local.resolve import BUNDLED_NAME
from tests.gui.browser.support import names, select, settle
from tests.gui.dropping import drop, files
from tests.gui.model_page.support import page_text
from tests.support.hub_server import Fault, HubServer, Repository
from tests.support.tiny_model import tiny_model_files, write_files

FILES = tiny_model_files(hidden=128)
Make = Callable[..., ModelPicker]
# The offscreen platform says so at every window; it is no fault of ours.
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "models" / "tiny & small", FILES)


@pytest.fixture
def make(qtbot: QtBot, context: AppContext) -> Iterator[Make]:
    """Open a picker whose Hub is the one on loopback."""
    made: list[ModelPicker] = []

    def open_picker(*recents: str, current: str = "") -> ModelPicker:
        specs = tuple(ModelSpec(source) for source in recents)
        context.settings.values = msgspec.structs.replace(context.settings.values, recents=specs)
        target = PickerTarget(current=ModelSpec(current) if current else None)
        picker = ModelPicker(context, target)
        qtbot.addWidget(picker)
        picker.open()
        made.append(picker)
        settle(qtbot, picker)
        return picker

    yield open_picker
    for picker in made:
        picker.done(0)


def wait_for_facts(qtbot: QtBot, picker: ModelPicker, text: str) -> None:
    qtbot.waitUntil(lambda: text in page_text(picker.page), timeout=60_000)


def test_a_recent_folder_is_described_and_chosen(qtbot: QtBot, make: Make, folder: Path) -> None:
    picker = make(str(folder), current=str(folder))
    wait_for_facts(qtbot, picker, "LlamaForCausalLM")
    assert "512 tokens" in page_text(picker.page)
    assert "none: raw text only" in page_text(picker.page)
    assert str(folder) in page_text(picker.page)
    with qtbot.waitSignal(picker.chosen) as chosen:
        qtbot.mouseClick(picker.use_button, Qt.MouseButton.LeftButton)
    assert chosen.args == [ModelChoice(None, model=ModelSpec(str(folder)))]
    assert not picker.isVisible()


def test_the_keyboard_is_enough(qtbot: QtBot, make: Make, folder: Path) -> None:
    picker = make(str(folder), "owner/elsewhere")
    assert picker.view.filters.search.hasFocus() or not picker.isActiveWindow()
    select(picker, "owner/elsewhere")
    qtbot.keyClick(picker.view.list, Qt.Key.Key_Up)
    wait_for_facts(qtbot, picker, "LlamaForCausalLM")
    with qtbot.waitSignal(picker.chosen) as chosen:
        qtbot.keyClick(picker.view.list, Qt.Key.Key_Return)
    assert chosen.args == [ModelChoice(None, model=ModelSpec(str(folder)))]


def test_headings_are_passed_over(qtbot: QtBot, make: Make, folder: Path) -> None:
    picker = make(str(folder))
    assert names(picker, "Recent") == [folder.name]
    select(picker, folder.name)
    qtbot.keyClick(picker.view.list, Qt.Key.Key_Down)
    current = picker.browser.current()
    assert current is not None
    assert current.name == BUNDLED_NAME


def test_an_unusable_model_says_why_and_cannot_be_chosen(
    qtbot: QtBot, make: Make, tmp_path: Path
) -> None:
    no_tokenizer = write_files(
        tmp_path / "no tokenizer", {n: d for n, d in FILES.items() if "tokenizer" not in n}
    )
    picker = make(str(tmp_path / "gone"), str(no_tokenizer), "owner/elsewhere")
    for title, said in (
        ("gone", "not on this machine any more"),
        ("no tokenizer", "lacks its tokenizer"),
        ("owner/elsewhere", "knows no model"),
    ):
        select(picker, title)
        wait_for_facts(qtbot, picker, said)
        assert not picker.use_button.isEnabled()
        assert picker.spec is None
    qtbot.keyClick(picker.view.list, Qt.Key.Key_Return)
    assert picker.isVisible()


def test_quick_changes_end_with_the_facts_of_the_last(
    qtbot: QtBot, make: Make, tmp_path: Path
) -> None:
    folders = [
        write_files(tmp_path / f"layers-{n}", tiny_model_files(layers=n)) for n in (1, 2, 3, 4)
    ]
    picker = make(*map(str, folders))
    for model in folders * 3:
        select(picker, model.name)
    wait_for_facts(qtbot, picker, str(folders[-1]))
    assert picker.spec == ModelSpec(str(folders[-1]))


@pytest.mark.parametrize("inner", ["", "config.json"])
def test_a_dropped_folder_is_taken_and_that_of_a_dropped_file(
    qtbot: QtBot, make: Make, folder: Path, inner: str
) -> None:
    picker = make()
    assert "tiny & small" not in names(picker)
    assert drop(files([folder / inner]), picker.view.list) == Qt.DropAction.CopyAction
    wait_for_facts(qtbot, picker, str(folder))
    assert picker.spec == ModelSpec(str(folder))
    assert names(picker).count("tiny & small") == 1


def test_the_folder_dialog(qtbot: QtBot, make: Make, folder: Path, context: AppContext) -> None:
    picker = make()
    qtbot.mouseClick(picker.open_button, Qt.MouseButton.LeftButton)
    dialog = picker.findChild(QFileDialog)
    assert dialog is not None
    assert dialog.fileMode() is QFileDialog.FileMode.Directory
    dialog.fileSelected.emit(str(folder))
    dialog.done(0)
    assert SettingsStore(context.settings.path).values.last_folder == str(folder.parent)
    wait_for_facts(qtbot, picker, str(folder))


def test_a_typed_id_is_downloaded_and_used(
    qtbot: QtBot, make: Make, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    repository = hub.add(Repository("owner/model", FILES))
    repository.refs["v1"] = repository.refs["main"]
    hold = hub.add_fault(Fault(r"GET /cdn/", after=len(FILES["model.safetensors"]) // 2))
    picker = make()
    assert not picker.panel.isVisible()
    search = picker.view.filters.search
    qtbot.keyClicks(search, f"{hub.endpoint}/owner/model/tree/v1")
    settle(qtbot, picker)
    qtbot.keyClick(search, Qt.Key.Key_Return)
    assert picker.isVisible()  # Enter belongs to the field
    qtbot.waitUntil(lambda: picker.page.download_button.isVisible(), timeout=60_000)
    assert not picker.use_button.isEnabled()
    qtbot.mouseClick(picker.page.download_button, Qt.MouseButton.LeftButton)
    assert picker.panel.isVisible()
    qtbot.waitUntil(hold.reached.is_set, timeout=60_000)
    hold.release.set()
    qtbot.waitUntil(lambda: picker.use_button.isEnabled(), timeout=60_000)
    assert picker.spec == ModelSpec("owner/model", "v1")
    settle(qtbot, picker)
    assert "owner/model" in names(picker, "On this machine")
    with qtbot.waitSignal(picker.chosen) as chosen:
        qtbot.mouseClick(picker.use_button, Qt.MouseButton.LeftButton)
    assert chosen.args == [ModelChoice(None, model=ModelSpec("owner/model", "v1"))]


def test_closing_leaves_downloads_at_work(
    qtbot: QtBot, make: Make, hub: HubServer, home: Path
) -> None:
    hub.add(Repository("owner/model", FILES))
    hold = hub.add_fault(Fault(r"GET /cdn/", after=1000))
    picker = make("owner/model")
    select(picker, "owner/model")
    qtbot.waitUntil(lambda: picker.page.download_button.isVisible(), timeout=60_000)
    qtbot.mouseClick(picker.page.download_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(hold.reached.is_set, timeout=60_000)
    picker.close()
    assert not picker.isVisible()
    other = make()
    assert other.panel.isVisible()
    row = other.panel.row("owner/model")
    assert row is not None
    qtbot.mouseClick(row.cancel_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(other.panel.clear_button.isEnabled, timeout=60_000)
    assert "Cancelled" in row.state.text()
    qtbot.waitUntil(lambda: not list(home.rglob("*.incomplete")), timeout=60_000)
    qtbot.mouseClick(other.panel.clear_button, Qt.MouseButton.LeftButton)
    assert not other.panel.isVisible()


def test_everything_has_a_name(make: Make) -> None:
    picker = make()
    reachable = [
        widget
        for widget in picker.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible()
    ]
    assert len(reachable) >= 4
    unnamed = [w for w in reachable if not (w.accessibleName() or getattr(w, "text", str)())]
    assert not unnamed
