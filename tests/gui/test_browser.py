"""Finding a model: the dialog against a Hub on loopback, with the real client."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from browser_support import entry, names, select, settle
from control_support import LONG, MakeWindow
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.core.memory_plan import Fit
from playground.core.settings import Settings, SettingsStore
from playground.gui.background import Background
from playground.gui.browser_rows import Entry, Room, Scope
from playground.gui.browser_sources import HubPlace
from playground.gui.downloads_controller import DownloadsController
from playground.gui.model_picker import ModelPicker, PickerShelf
from playground.gui.row_texts import age, badges, cells, headings, short_count, spoken
from playground.hub.catalog import ModelRow, Sort, Where
from playground.hub.resolve import BUNDLED_NAME
from tests.support.cached_model import put_snapshot
from tests.support.hub_server import Crowd, Fault, HubServer, Repository
from tests.support.tiny_model import tiny_model_files, write_files

FILES = tiny_model_files()
COMMIT = "c" * 40
Make = Callable[..., ModelPicker]
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


@pytest.fixture
def make(
    qtbot: QtBot,
    hub: HubServer,
    home: Path,
    background: Background,
    downloads: DownloadsController,
) -> Iterator[Make]:
    """Open a browser; keywords are the shelf's, `endpoint` another Hub's address."""
    made: list[ModelPicker] = []

    def open_picker(endpoint: str = "", **shelf: object) -> ModelPicker:
        picker = ModelPicker(
            background,
            downloads,
            PickerShelf(**shelf),  # type: ignore[arg-type]
            place=HubPlace(endpoint or hub.endpoint, hub.cache(home)),
        )
        qtbot.addWidget(picker)
        picker.open()
        made.append(picker)
        return picker

    yield open_picker
    for picker in made:
        picker.reject()


def add(hub: HubServer, id_: str, *tags: str, gated: str | bool = False, **facts: object) -> None:
    known = {"pipeline_tag": "text-generation", **facts}
    hub.add(Repository(id_, FILES, tags=tags, gated=gated, facts=known))


def weights(count: float) -> dict[str, object]:
    return {"parameters": {"BF16": round(count)}, "total": round(count)}


def lists(hub: HubServer) -> list[str]:
    """The questions for lists that came."""
    asked = [request for request in hub.requests if request.startswith("GET /api/models?")]
    return [request for request in asked if "base_model" not in request]  # a page's, those


def choose(combo: object, data: object) -> None:
    found = combo.findData(data)  # type: ignore[attr-defined]
    assert found >= 0
    combo.setCurrentIndex(found)  # type: ignore[attr-defined]


def test_results_come_while_typing(qtbot: QtBot, make: Make, hub: HubServer) -> None:
    add(hub, "meta/llama-8b", "license:llama3", downloads=9, safetensors=weights(8e9))
    add(hub, "qwen/qwen-1b", downloads=5)
    picker = make()
    settle(qtbot, picker)
    assert names(picker, "On the Hub") == ["meta/llama-8b", "qwen/qwen-1b"]
    before = len(lists(hub))
    qtbot.keyClicks(picker.view.filters.search, "llama")
    assert names(picker) == ["meta/llama-8b"]  # at once, of what is known
    settle(qtbot, picker)
    assert names(picker) == ["meta/llama-8b"]
    assert len(lists(hub)) == before + 1  # not one for every letter
    assert "search=llama" in lists(hub)[-1]
    told = QAccessible.queryAccessibleInterface(picker.view.list).child(1)
    assert told is not None
    said = told.text(QAccessible.Text.Name)
    for part in ("meta/llama-8b", "on the hub", "parameters 8 b", "stored as bf16",
                 "licence llama3", "downloads 9", "16.0 gb"):  # fmt: skip
        assert part in said.lower()


def test_rows_say_whether_they_fit_into_what_is_free_now(
    qtbot: QtBot, make: Make, hub: HubServer
) -> None:
    packed = {"parameters": {"I32": 10**9, "F16": 10**6}, "total": 10**9}
    config = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    add(hub, "a/small", safetensors=weights(1e9))
    add(hub, "b/close", safetensors=weights(4.5e9))
    add(hub, "c/large", safetensors=weights(8e9))
    add(hub, "c/large-gptq", "gptq", safetensors=packed, config=config)
    add(hub, "d/unknown")
    free = [10**10]
    picker = make(room=lambda: Room("cpu", free[0]))
    settle(qtbot, picker)

    def fits() -> dict[str, Fit | None]:
        return {name: entry(picker, name).fit for name in names(picker, "On the Hub")}

    assert fits() == {
        "a/small": Fit.FITS, "b/close": Fit.TIGHT, "c/large": Fit.TOO_LARGE,
        "c/large-gptq": Fit.FITS, "d/unknown": None,
    }  # fmt: skip
    assert "memory too large" in spoken(entry(picker, "c/large"))
    free[0] = 10**9
    picker.view.refresh.trigger()
    settle(qtbot, picker)
    assert fits()["a/small"] is Fit.TOO_LARGE


def test_the_newest_question_wins(qtbot: QtBot, make: Make, hub: HubServer) -> None:
    add(hub, "a/slow-one")
    add(hub, "b/fast-one")
    picker = make()
    settle(qtbot, picker)
    slow = hub.add_fault(Fault("search=slow", after=10))
    search = picker.view.filters.search
    qtbot.keyClicks(search, "slow")
    qtbot.keyClick(search, Qt.Key.Key_Return)
    qtbot.waitUntil(slow.reached.is_set, timeout=LONG)
    search.setText("fast")
    settle(qtbot, picker)
    assert names(picker) == ["b/fast-one"]
    slow.release.set()
    with qtbot.waitSignal(picker.browser.answered, timeout=LONG):
        picker.view.refresh.trigger()
    assert names(picker) == ["b/fast-one"]


def test_filters_and_orders_are_asked_of_the_hub(qtbot: QtBot, make: Make, hub: HubServer) -> None:
    add(hub, "a/plain", "license:mit", downloads=3, likes=1, safetensors=weights(1e9))
    add(hub, "b/packed", "license:mit", "gptq", downloads=2, likes=9, safetensors=weights(30e9))
    add(hub, "c/gated", "license:llama3", gated="manual", downloads=1, safetensors=weights(8e9))
    add(hub, "d/other-task", pipeline_tag="translation")
    picker = make()
    filters = picker.view.filters
    settle(qtbot, picker)
    assert names(picker, "On the Hub") == ["a/plain", "b/packed", "c/gated"]
    assert entry(picker, "c/gated").row.gated
    for combo, value, found in (
        (filters.sort, Sort.LIKES, ["b/packed", "a/plain", "c/gated"]),
        (filters.sort, Sort.PARAMETERS, ["b/packed", "c/gated", "a/plain"]),
        (filters.sort, Sort.NAME, ["a/plain", "b/packed", "c/gated"]),
        (filters.gate, True, ["c/gated"]),
        (filters.gate, None, ["a/plain", "b/packed", "c/gated"]),
        (filters.licence, "mit", ["a/plain", "b/packed"]),
        (filters.library, "gptq", ["b/packed"]),
        (filters.library, "", ["a/plain", "b/packed"]),
        (filters.most, 3_000_000_000, ["a/plain"]),
        (filters.least, 1_000_000_000, ["a/plain"]),
        (filters.task, "translation", []),
    ):
        choose(combo, value)
        settle(qtbot, picker)
        assert names(picker, "On the Hub") == found, value
    assert picker.view.notice().text == "No model fits."
    qtbot.mouseClick(picker.view.notice_button(), Qt.MouseButton.LeftButton)
    settle(qtbot, picker)
    assert len(names(picker, "On the Hub")) == 4
    assert not picker.view.notice().text


def test_a_hundred_thousand_results_come_as_one_scrolls(
    qtbot: QtBot, make: Make, hub: HubServer
) -> None:
    hub.crowd = Crowd(100_000)
    picker = make()
    choose(picker.view.filters.task, "")
    settle(qtbot, picker)
    bar = picker.view.list.verticalScrollBar()
    first = len(lists(hub))
    shown = len(names(picker, "On the Hub"))
    assert shown == 30
    assert "more on scrolling" in picker.view.summary()
    for page in (1, 2, 3):
        bar.setValue(bar.maximum())
        qtbot.waitUntil(lambda n=30 * (page + 1): len(names(picker, "On the Hub")) == n)  # type: ignore[misc]
        settle(qtbot, picker)
        assert len(lists(hub)) == first + page  # what is looked at, and nothing ahead of it
    current = picker.browser.current()
    select(picker, "crowd/model-000119")  # the last one: the keyboard goes on as well
    assert picker.browser.current() != current
    qtbot.waitUntil(lambda: len(names(picker, "On the Hub")) == 150)
    assert picker.browser.current() == entry(picker, "crowd/model-000119").row


def test_where_nothing_fits_the_user_says_how_far_to_look(
    qtbot: QtBot, make: Make, hub: HubServer
) -> None:
    hub.crowd = Crowd(100_000)  # of which the Hub tells no parameters
    picker = make(room=lambda: Room("cpu", 10**10))
    picker.view.filters.loosen()
    settle(qtbot, picker)
    asked = len(lists(hub))
    choose(picker.view.filters.fits, Fit.FITS)
    for pages in (5, 10):
        settle(qtbot, picker)
        assert names(picker) == [BUNDLED_NAME]
        assert len(lists(hub)) == asked + pages
        assert picker.view.notice().text == "None of the next models of the Hub fits."
        qtbot.mouseClick(picker.view.notice_button(), Qt.MouseButton.LeftButton)
    settle(qtbot, picker)


def test_a_click_on_a_heading_orders_the_list(qtbot: QtBot, make: Make, hub: HubServer) -> None:
    add(hub, "a/small", safetensors=weights(1e9), downloads=9)
    add(hub, "b/large", safetensors=weights(8e9), downloads=1)
    picker = make()
    settle(qtbot, picker)
    titles = picker.view.titles
    qtbot.mouseClick(titles, Qt.MouseButton.LeftButton, pos=QPoint(20, 5))
    settle(qtbot, picker)
    assert picker.view.filters.filters().sort is Sort.PARAMETERS
    assert names(picker, "On the Hub") == ["b/large", "a/small"]
    right = QPoint(titles.width() - 30, 5)  # the Hub knows no order by what fits here
    qtbot.mouseClick(titles, Qt.MouseButton.LeftButton, pos=right)
    assert picker.view.filters.filters().sort is Sort.PARAMETERS


def test_an_order_shows_what_it_compares() -> None:
    row = ModelRow(
        key="k", spec=ModelSpec("a/b"), where=Where.HUB, name="a/b", downloads=1234, likes=56
    )
    for sort, shown in ((Sort.DOWNLOADS, "1.23 k"), (Sort.LIKES, "56")):
        table = dict(zip(headings(sort), cells(Entry(row), sort=sort), strict=True))
        assert table[sort.name.capitalize()] == shown


def test_the_window_stays_usable_while_the_hub_is_silent(
    qtbot: QtBot, make: Make, hub: HubServer
) -> None:
    silent = hub.add_fault(Fault("GET /api/models", after=0))
    picker = make()
    qtbot.waitUntil(silent.reached.is_set, timeout=LONG)
    qtbot.waitUntil(lambda: names(picker) == [BUNDLED_NAME])
    qtbot.waitUntil(lambda: picker.spec == ModelSpec())
    assert "asking" in picker.view.summary()
    qtbot.mouseClick(picker.use_button, Qt.MouseButton.LeftButton)
    assert not picker.isVisible()
    silent.release.set()


def test_offline_lists_what_is_here_and_tries_again(
    qtbot: QtBot, make: Make, hub: HubServer, home: Path
) -> None:
    put_snapshot(hub.cache(home), "owner/cached", COMMIT, FILES, "main")
    with socket.socket() as unused:  # bound and not listening: refuses every connection
        unused.bind(("127.0.0.1", 0))
        picker = make(f"http://127.0.0.1:{unused.getsockname()[1]}")
        settle(qtbot, picker)
        assert names(picker) == ["owner/cached", BUNDLED_NAME]
        said = picker.view.notice()
        assert "cannot be reached" in said.text
        assert "network" in said.cure
        assert "the list shows what is here" in said.cure
        with qtbot.waitSignal(picker.browser.answered, timeout=LONG):
            qtbot.mouseClick(picker.view.notice_button(), Qt.MouseButton.LeftButton)
        assert "cannot be reached" in picker.view.notice().text
    select(picker, "owner/cached")
    qtbot.waitUntil(lambda: picker.spec == ModelSpec("owner/cached"))


def test_here_asks_nothing_of_the_network(
    qtbot: QtBot, make: Make, hub: HubServer, home: Path
) -> None:
    put_snapshot(hub.cache(home), "owner/cached", COMMIT, FILES, "main")
    write_files(home / "mine" / "somebody" / "model", FILES)
    add(hub, "owner/cached", "license:mit", downloads=12)
    add(hub, "owner/elsewhere")
    picker = make(folders=[str(home / "mine")])
    settle(qtbot, picker)
    assert names(picker, "On the Hub") == ["owner/elsewhere"]  # each model stands there once
    assert entry(picker, "owner/cached").row.downloads == 12  # with what the Hub says of it
    asked = len(hub.requests)
    qtbot.mouseClick(picker.view.filters.scope.button(Scope.HERE), Qt.MouseButton.LeftButton)
    qtbot.keyClicks(picker.view.filters.search, "model")
    settle(qtbot, picker)
    assert names(picker) == ["model"]
    assert len(hub.requests) == asked


def test_too_many_requests_and_then_again_by_itself(
    qtbot: QtBot, make: Make, hub: HubServer
) -> None:
    add(hub, "owner/model")
    hub.add_fault(Fault("GET /api/models", 429, {"Retry-After": "1"}, times=1))
    picker = make()
    with qtbot.waitSignal(picker.browser.answered, timeout=LONG):
        pass
    assert "429" in picker.view.notice().text
    assert "in 1 seconds" in picker.view.notice().cure
    assert "by itself" in picker.view.notice().cure
    qtbot.waitUntil(lambda: names(picker, "On the Hub") == ["owner/model"], timeout=LONG)
    assert not picker.view.notice().text


def test_a_page_that_fails_keeps_the_earlier_ones(qtbot: QtBot, make: Make, hub: HubServer) -> None:
    hub.crowd = Crowd(100)
    picker = make()
    choose(picker.view.filters.task, "")
    settle(qtbot, picker)
    hub.add_fault(Fault("cursor=30", 500, times=1))
    bar = picker.view.list.verticalScrollBar()
    with qtbot.waitSignal(picker.browser.answered, timeout=LONG):
        bar.setValue(bar.maximum())
    assert "HTTP 500" in picker.view.notice().text
    assert "shows what is here" not in picker.view.notice().cure
    assert len(names(picker, "On the Hub")) == 30
    qtbot.mouseClick(picker.view.notice_button(), Qt.MouseButton.LeftButton)
    settle(qtbot, picker)
    assert len(names(picker, "On the Hub")) == 60
    assert not picker.view.notice().text


def test_an_id_typed_in_whole_needs_no_list(qtbot: QtBot, make: Make, hub: HubServer) -> None:
    add(hub, "owner/model")
    hub.add_fault(Fault("GET /api/models[?]", 500))
    picker = make()
    settle(qtbot, picker)
    for typed, name, spec in (
        ("https://huggingface.co/some/thing", "some/thing", ModelSpec("some/thing")),
        ("owner/model@v1.0", "owner/model @ v1.0", ModelSpec("owner/model", "v1.0")),
    ):
        picker.view.filters.search.setText(typed)
        settle(qtbot, picker)
        assert names(picker) == [name]
        current = picker.browser.current()
        assert current is not None
        assert current.spec == spec


def test_an_id_typed_in_whole_is_gone_to(qtbot: QtBot, make: Make, hub: HubServer) -> None:
    add(hub, "owner/model-large", downloads=9)
    add(hub, "owner/model", downloads=1)
    picker = make()
    settle(qtbot, picker)
    picker.view.filters.search.setText("owner/model")
    settle(qtbot, picker)
    assert names(picker) == ["owner/model-large", "owner/model"]
    current = picker.browser.current()
    assert current is not None
    assert current.name == "owner/model"


def test_deleting_asks_frees_and_updates(
    qtbot: QtBot, make: Make, hub: HubServer, home: Path
) -> None:
    cache = hub.cache(home)
    put_snapshot(cache, "owner/cached", COMMIT, FILES, "main")
    add(hub, "owner/cached")
    opened = write_files(home / "opened", FILES)
    picker = make(recents=[ModelSpec(str(opened))], in_use=[ModelSpec("owner/cached")])
    settle(qtbot, picker)
    for name in (BUNDLED_NAME, "opened"):  # neither is the user's library
        select(picker, name)
        assert not picker.view.delete.isEnabled()
    select(picker, "owner/cached")
    picker.view.favourite.trigger()
    freed = sum(map(len, FILES.values()))
    for answer in ("Keep it", "Delete"):
        picker.view.list.setFocus()
        picker.view.delete.trigger()
        qtbot.waitUntil(lambda: picker.deletion.question is not None)
        box = picker.deletion.question
        assert isinstance(box, QMessageBox)
        assert f"{freed / 1e3:.0f} kB" in box.text()
        assert "A lane has this model" in box.informativeText()
        assert isinstance(box.defaultButton(), QPushButton)
        assert box.defaultButton().text() == "&Keep it"
        buttons = {button.text().replace("&", ""): button for button in box.buttons()}
        qtbot.mouseClick(buttons[answer], Qt.MouseButton.LeftButton)
        assert (cache / "models--owner--cached").is_dir() or answer == "Delete"
    qtbot.waitUntil(lambda: names(picker, "On the Hub") == ["owner/cached"], timeout=LONG)
    assert not (cache / "models--owner--cached").exists()
    assert not entry(picker, "owner/cached").row.is_local
    scope = picker.view.filters.scope.button(Scope.FAVOURITES)
    qtbot.mouseClick(scope, Qt.MouseButton.LeftButton)
    assert entry(picker, "owner/cached").row.where is Where.HUB


def test_a_damaged_model_is_listed_with_its_cure_and_can_be_deleted(
    qtbot: QtBot, make: Make, hub: HubServer, home: Path
) -> None:
    snapshot = put_snapshot(hub.cache(home), "owner/broken", COMMIT, FILES, "main")
    (snapshot / "model.safetensors").resolve().unlink()
    add(hub, "owner/broken")
    picker = make()
    settle(qtbot, picker)
    assert names(picker).count("owner/broken") == 2  # the damaged one, and the Hub's
    select(picker, "owner/broken")
    assert "model.safetensors" in entry(picker, "owner/broken").row.problem
    qtbot.waitUntil(lambda: "Download it again" in picker.page.text(), timeout=60_000)
    assert not picker.use_button.isEnabled()
    assert picker.view.delete.isEnabled()


def test_model_folders_are_added_and_removed(qtbot: QtBot, make: Make, home: Path) -> None:
    write_files(home / "mine" / "model", FILES)
    picker = make()
    settle(qtbot, picker)
    with qtbot.waitSignal(picker.folders_changed) as changed:
        picker.ask_model_folder()
        dialog = picker.findChildren(QWidget, "QFileDialog")[0]
        dialog.fileSelected.emit(str(home / "mine"))  # type: ignore[attr-defined]
        dialog.done(0)  # type: ignore[attr-defined]
    assert changed.args == [(str(home / "mine"),)]
    qtbot.waitUntil(lambda: "model" in names(picker, "On this machine"))
    picker.browser.go_to(ModelSpec(str(home / "mine" / "model")))  # it is listed already
    current = picker.browser.current()
    assert current is not None
    assert current.name == "model"
    (remove,) = [a for a in picker.view.folders.menu().actions() if a.data()]
    with qtbot.waitSignal(picker.folders_changed) as changed:
        remove.trigger()
    assert changed.args == [()]
    qtbot.waitUntil(lambda: "model" not in names(picker))


def test_favourites_and_recents(qtbot: QtBot, make: Make, hub: HubServer) -> None:
    add(hub, "owner/marked", downloads=7, safetensors=weights(2e9))
    add(hub, "owner/used", downloads=5)
    add(hub, "owner/other", downloads=1)
    picker = make(recents=[ModelSpec("owner/used")], favourites=[ModelSpec("gone/away")])
    settle(qtbot, picker)
    assert names(picker, "Recent") == ["owner/used"]
    select(picker, "owner/marked")
    with qtbot.waitSignal(picker.browser.favourites_changed) as changed:
        qtbot.keyClick(picker.view.list, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    assert changed.args == [(ModelSpec("owner/marked"), ModelSpec("gone/away"))]
    assert entry(picker, "owner/marked").favourite
    assert picker.view.favourite.text() == "Remove from &favourites"
    scope = picker.view.filters.scope
    qtbot.mouseClick(scope.button(Scope.FAVOURITES), Qt.MouseButton.LeftButton)
    settle(qtbot, picker)
    assert names(picker) == ["owner/marked", "gone/away"]
    assert entry(picker, "owner/marked").row.downloads == 7  # once told, it is known
    qtbot.mouseClick(scope.button(Scope.RECENT), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: entry(picker, "owner/used").row.downloads == 5)
    assert names(picker) == ["owner/used"]


def test_a_recent_folder_that_is_gone_says_so(qtbot: QtBot, make: Make, home: Path) -> None:
    there = write_files(home / "there", FILES)
    recents = [ModelSpec(str(there)), *(ModelSpec(str(home / f"gone-{n}")) for n in range(5))]
    picker = make(recents=recents)
    settle(qtbot, picker)
    assert names(picker, "Recent") == ["there", "gone-0", "gone-1", "gone-2"]
    assert names(picker, "On this machine") == [BUNDLED_NAME]  # the other two are not
    gone = entry(picker, "gone-0").row
    assert "no folder" in gone.problem
    assert badges(gone) == [("gone", "danger")]
    assert badges(entry(picker, "there").row) == [("here", "success")]
    assert picker.view.summary() == "2 here"


@pytest.mark.parametrize(
    ("days", "said"),
    [(0.5, "today"), (1, "1 day"), (59, "59 days"), (61, "2 months"), (700, "22 months"),
     (800, "2 years")],
)  # fmt: skip
def test_ages(days: float, said: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert age(now - timedelta(days=days), now) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0"), (812, "812"), (1234, "1.23 k"), (999_999, "1 M"), (7_241_000_000, "7.24 B")],
)
def test_counts(count: int, said: str) -> None:
    assert short_count(count) == said


def test_favourites_are_kept_by_the_window(
    qtbot: QtBot, make_window: MakeWindow, hub: HubServer, home: Path, tmp_path: Path
) -> None:
    playground = make_window(
        settings=Settings(favourites=(ModelSpec("owner/old"),)),
        place=HubPlace(hub.endpoint, hub.cache(home)),
    )
    playground.models.choose()
    (picker,) = playground.window.findChildren(ModelPicker)
    settle(qtbot, picker)
    select(picker, BUNDLED_NAME)
    picker.view.favourite.trigger()
    picker.reject()
    kept = SettingsStore(tmp_path / "settings.toml").values.favourites
    assert kept == (ModelSpec(), ModelSpec("owner/old"))


def test_the_keyboard_is_enough(qtbot: QtBot, make: Make, hub: HubServer, home: Path) -> None:
    put_snapshot(hub.cache(home), "owner/one", COMMIT, FILES, "main")
    put_snapshot(hub.cache(home), "owner/two", COMMIT, FILES, "main")
    picker = make()
    settle(qtbot, picker)
    search, list_ = picker.view.filters.search, picker.view.list
    assert picker.focusWidget() is search
    qtbot.keyClicks(search, "owner")
    qtbot.keyClick(search, Qt.Key.Key_Return)  # at once
    settle(qtbot, picker)
    qtbot.keyClick(search, Qt.Key.Key_Down)
    assert picker.focusWidget() is list_
    first, second = names(picker)
    current = picker.browser.current()
    assert current is not None
    assert current.name == first
    qtbot.keyClick(list_, Qt.Key.Key_Up)
    assert picker.focusWidget() is search
    qtbot.keyClick(search, Qt.Key.Key_Down)
    qtbot.keyClick(list_, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: picker.spec == ModelSpec(second))
    with qtbot.waitSignal(picker.chosen) as chosen:
        qtbot.keyClick(list_, Qt.Key.Key_Return)
    assert chosen.args == [ModelSpec(second)]


def test_what_strangers_write_stays_plain_text(
    qtbot: QtBot, make: Make, hub: HubServer, home: Path
) -> None:
    hostile = '<img src="http://x/y.png">\u202egpj\n<b>bold</b>'
    add(hub, "owner/hostile", f"license:{hostile}", library_name=hostile)
    write_files(home / "mine" / "<b>bold\n\u202efolder", FILES)
    picker = make(folders=[str(home / "mine")])
    settle(qtbot, picker)
    model = picker.view.list.rows
    for row, line in enumerate(model.lines()):
        if isinstance(line, Entry):
            index = model.index(row)
            tip = index.data(Qt.ItemDataRole.ToolTipRole)
            assert "<img" not in tip
            assert "<b>" not in tip
            for role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
                assert not {"\n", "\u202e"} & set(index.data(role))
            assert not {"\n", "\u202e"} & set("".join(cells(line)))


def test_enter_on_a_model_of_the_hub_leads_to_its_download(
    qtbot: QtBot, make: Make, hub: HubServer
) -> None:
    add(hub, "owner/model")
    picker = make()
    settle(qtbot, picker)
    select(picker, "owner/model")
    qtbot.waitUntil(picker.page.download_button.isVisible, timeout=LONG)
    qtbot.keyClick(picker.view.list, Qt.Key.Key_Return)
    assert picker.isVisible()
    assert picker.focusWidget() is picker.page.download_button
    qtbot.keyClick(picker.page.download_button, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: picker.spec == ModelSpec("owner/model"), timeout=LONG)
    settle(qtbot, picker)
    assert picker.focusWidget() is picker.view.list
    assert set(names(picker, "On this machine")) == {"owner/model", BUNDLED_NAME}


def test_escape_closes_and_f5_lists_anew(
    qtbot: QtBot, make: Make, hub: HubServer, home: Path
) -> None:
    picker = make()
    settle(qtbot, picker)
    add(hub, "owner/new")
    put_snapshot(hub.cache(home), "owner/here", COMMIT, FILES, "main")
    qtbot.keyClick(picker.view.list, Qt.Key.Key_F5)
    settle(qtbot, picker)
    assert {"owner/new", "owner/here"} < set(names(picker))
    qtbot.keyClick(picker.view.filters.search, Qt.Key.Key_Escape)
    assert not picker.isVisible()


def test_the_menu_of_a_row(qtbot: QtBot, make: Make, hub: HubServer) -> None:
    add(hub, "owner/model")
    picker = make()
    settle(qtbot, picker)
    picker.view.list.menu_wanted.emit(QPoint(10, 10))
    (menu,) = [m for m in picker.view.findChildren(QWidget) if m.isVisible() and m.isWindow()]
    texts = [action.text() for action in menu.actions()]
    assert texts == [picker.view.favourite.text(), picker.view.delete.text()]
    menu.close()


def test_every_control_has_a_name(qtbot: QtBot, make: Make) -> None:
    picker = make()
    settle(qtbot, picker)
    reachable = [
        widget
        for widget in picker.view.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisible()
    ]
    assert len(reachable) >= 12
    assert not [w for w in reachable if not w.accessibleName()]
