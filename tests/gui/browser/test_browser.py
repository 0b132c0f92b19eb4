"""Finding a model: the dialog against a Hub on loopback, with the real client."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from pytestqt.qtbot import QtBot

from playground.core.facts import ModelSpec
from playground.core.memory.plan import Fit
from playground.gui.browser.model_list import Entry, FreeMemory, Scope
from playground.gui.browser.text import cells, headings, spoken
from playground.hub.catalog import ModelRow, Sort, Where
from playground.hub.local.resolve import BUNDLED_NAME
from tests.gui.browser.support import (
    COMMIT,
    FILES,
    MakePicker,
    add,
    choose,
    click_notice,
    entry,
    lists,
    names,
    notice,
    select,
    settle,
    weights,
)
from tests.gui.support import LONG
from tests.support.cached_model import put_snapshot
from tests.support.hub_server import Crowd, Fault, HubServer
from tests.support.tiny_model import write_files

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


def test_results_arrive_while_typing(qtbot: QtBot, make_picker: MakePicker, hub: HubServer) -> None:
    add(hub, "meta/llama-8b", "license:llama3", downloads=9, safetensors=weights(8e9))
    add(hub, "qwen/qwen-1b", downloads=5)
    picker = make_picker()
    settle(qtbot, picker)
    assert names(picker, "On the Hub") == ["meta/llama-8b", "qwen/qwen-1b"]
    before = len(lists(hub))
    qtbot.keyClicks(picker.view.filters.search, "llama")
    assert names(picker) == ["meta/llama-8b"]  # at once, of what is known
    settle(qtbot, picker)
    assert names(picker) == ["meta/llama-8b"]
    assert len(lists(hub)) == before + 1  # not one for every letter
    assert "search=llama" in lists(hub)[-1]
    row = QAccessible.queryAccessibleInterface(picker.view.list).child(1)
    assert row is not None
    said = row.text(QAccessible.Text.Name)
    for part in ("meta/llama-8b", "on the hub", "parameters 8 b", "stored as bf16",
                 "licence llama3", "downloads 9", "16.0 gb"):  # fmt: skip
        assert part in said.lower()


def test_rows_say_whether_they_fit_into_what_is_free_now(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer
) -> None:
    packed = {"parameters": {"I32": 10**9, "F16": 10**6}, "total": 10**9}
    config = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    add(hub, "a/small", safetensors=weights(1e9))
    add(hub, "b/close", safetensors=weights(4.5e9))
    add(hub, "c/large", safetensors=weights(8e9))
    add(hub, "c/large-gptq", "gptq", safetensors=packed, config=config)
    add(hub, "d/unknown")
    free = [10**10]
    picker = make_picker(free_memory=lambda: FreeMemory("cpu", free[0]))
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


def test_only_the_latest_search_counts(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer
) -> None:
    add(hub, "a/slow-one")
    add(hub, "b/fast-one")
    picker = make_picker()
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


def test_the_hub_filters_and_orders(qtbot: QtBot, make_picker: MakePicker, hub: HubServer) -> None:
    add(hub, "a/plain", "license:mit", downloads=3, likes=1, safetensors=weights(1e9))
    add(hub, "b/packed", "license:mit", "gptq", downloads=2, likes=9, safetensors=weights(30e9))
    add(hub, "c/gated", "license:llama3", gated="manual", downloads=1, safetensors=weights(8e9))
    add(hub, "d/other-task", pipeline_tag="translation")
    picker = make_picker()
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
    assert notice(picker).text == "No model matches."
    click_notice(qtbot, picker)
    settle(qtbot, picker)
    assert len(names(picker, "On the Hub")) == 4
    assert not notice(picker).text


def test_a_hundred_thousand_results_arrive_while_scrolling(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer
) -> None:
    hub.crowd = Crowd(100_000)
    picker = make_picker()
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


def test_without_a_match_the_user_decides_how_far_to_look(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer
) -> None:
    hub.crowd = Crowd(100_000)  # of which the Hub tells no parameters
    picker = make_picker(free_memory=lambda: FreeMemory("cpu", 10**10))
    picker.view.filters.loosen()
    settle(qtbot, picker)
    asked = len(lists(hub))
    choose(picker.view.filters.fits, Fit.FITS)
    for pages in (5, 10):
        settle(qtbot, picker)
        assert names(picker) == [BUNDLED_NAME]
        assert len(lists(hub)) == asked + pages
        assert notice(picker).text == "None of the Hub's next models matches the filters."
        click_notice(qtbot, picker)
    settle(qtbot, picker)


def test_a_click_on_a_heading_orders_the_list(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer
) -> None:
    add(hub, "a/small", safetensors=weights(1e9), downloads=9)
    add(hub, "b/large", safetensors=weights(8e9), downloads=1)
    picker = make_picker()
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
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer
) -> None:
    silent = hub.add_fault(Fault("GET /api/models", after=0))
    picker = make_picker()
    qtbot.waitUntil(silent.reached.is_set, timeout=LONG)
    qtbot.waitUntil(lambda: names(picker) == [BUNDLED_NAME])
    qtbot.waitUntil(lambda: picker.spec == ModelSpec())
    assert "asking" in picker.view.summary()
    qtbot.mouseClick(picker.use_button, Qt.MouseButton.LeftButton)
    assert not picker.isVisible()
    silent.release.set()


def test_offline_lists_what_is_here_and_tries_again(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer, home: Path
) -> None:
    put_snapshot(hub.cache(home), "owner/cached", COMMIT, FILES, "main")
    with socket.socket() as unused:  # bound and not listening: refuses every connection
        unused.bind(("127.0.0.1", 0))
        picker = make_picker(f"http://127.0.0.1:{unused.getsockname()[1]}")
        settle(qtbot, picker)
        assert names(picker) == ["owner/cached", BUNDLED_NAME]
        said = notice(picker)
        assert "cannot be reached" in said.text
        assert "network" in said.remedy
        assert "the list shows what is here" in said.remedy
        with qtbot.waitSignal(picker.browser.answered, timeout=LONG):
            click_notice(qtbot, picker)
        assert "cannot be reached" in notice(picker).text
    select(picker, "owner/cached")
    qtbot.waitUntil(lambda: picker.spec == ModelSpec("owner/cached"))


def test_here_does_not_use_the_network(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer, home: Path
) -> None:
    put_snapshot(hub.cache(home), "owner/cached", COMMIT, FILES, "main")
    write_files(home / "mine" / "somebody" / "model", FILES)
    add(hub, "owner/cached", "license:mit", downloads=12)
    add(hub, "owner/elsewhere")
    picker = make_picker(folders=[str(home / "mine")])
    settle(qtbot, picker)
    assert names(picker, "On the Hub") == ["owner/elsewhere"]  # each model stands there once
    assert entry(picker, "owner/cached").row.downloads == 12  # with what the Hub says of it
    asked = len(hub.requests)
    qtbot.mouseClick(picker.view.filters.scope.button(Scope.HERE), Qt.MouseButton.LeftButton)
    qtbot.keyClicks(picker.view.filters.search, "model")
    settle(qtbot, picker)
    assert names(picker) == ["model"]
    assert len(hub.requests) == asked


def test_a_rate_limit_is_reported_and_retried_automatically(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer
) -> None:
    add(hub, "owner/model")
    hub.add_fault(Fault("GET /api/models", 429, {"Retry-After": "1"}, times=1))
    picker = make_picker()
    with qtbot.waitSignal(picker.browser.answered, timeout=LONG):
        pass
    assert "429" in notice(picker).text
    assert "in 1 s;" in notice(picker).remedy
    assert "automatically" in notice(picker).remedy
    qtbot.waitUntil(lambda: names(picker, "On the Hub") == ["owner/model"], timeout=LONG)
    assert not notice(picker).text


def test_a_page_that_fails_keeps_the_earlier_ones(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer
) -> None:
    hub.crowd = Crowd(100)
    picker = make_picker()
    choose(picker.view.filters.task, "")
    settle(qtbot, picker)
    hub.add_fault(Fault("cursor=30", 500, times=1))
    bar = picker.view.list.verticalScrollBar()
    with qtbot.waitSignal(picker.browser.answered, timeout=LONG):
        bar.setValue(bar.maximum())
    assert "HTTP 500" in notice(picker).text
    assert "shows what is here" not in notice(picker).remedy
    assert len(names(picker, "On the Hub")) == 30
    click_notice(qtbot, picker)
    settle(qtbot, picker)
    assert len(names(picker, "On the Hub")) == 60
    assert not notice(picker).text


def test_a_complete_id_needs_no_list(qtbot: QtBot, make_picker: MakePicker, hub: HubServer) -> None:
    add(hub, "owner/model")
    hub.add_fault(Fault("GET /api/models[?]", 500))
    picker = make_picker()
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
    hub.requests.clear()
    for typed, said in (
        ("https://github.com/some/thing", "github.com is not the Hugging Face Hub."),
        ("https://huggingface.co/datasets/some/thing", "This is the address of a data set"),
    ):
        picker.view.filters.search.setText(typed)
        settle(qtbot, picker)
        assert names(picker) == []
        assert said in notice(picker).text
        assert "owner/name" in notice(picker).remedy
        assert not notice(picker).action
    assert hub.requests == []


def test_a_complete_id_becomes_the_current_row(
    qtbot: QtBot, make_picker: MakePicker, hub: HubServer
) -> None:
    add(hub, "owner/model-large", downloads=9)
    add(hub, "owner/model", downloads=1)
    picker = make_picker()
    settle(qtbot, picker)
    picker.view.filters.search.setText("owner/model")
    settle(qtbot, picker)
    assert names(picker) == ["owner/model-large", "owner/model"]
    current = picker.browser.current()
    assert current is not None
    assert current.name == "owner/model"
