"""From a model's page into lanes: at once, or after the downloads that they need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from playground.app.main import Playground
from playground.core.facts import ModelSpec
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.settings import Settings
from playground.gui.downloads.panel import DownloadsPanel
from playground.gui.model_page.lane_plans import comparison, precision_of, trial, versus
from playground.gui.models.picker import ModelPicker
from playground.hub.catalog import DerivativeGroup, ModelPage, ModelRow, Where
from playground.hub.downloads.download import child_environment
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.downloads.queue_file import queue_file, save
from playground.hub.local.resolve import BUNDLED_NAME
from playground.hub.place import HubPlace
from tests.gui.browser.support import select, settle
from tests.gui.support import LONG, MakeWindow
from tests.support.cached_model import put_snapshot
from tests.support.hub_server import Fault, HubServer, Repository
from tests.support.tiny_model import tiny_model_files

FILES = tiny_model_files()
GPTQ_CONFIG = json.loads(FILES["config.json"]) | {
    "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}
}
GPTQ_FILES = FILES | {"config.json": json.dumps(GPTQ_CONFIG).encode()}
TOKEN = "hf_" + "Ab1" * 11
BASE, GPTQ = ModelSpec("owner/model"), ModelSpec("a/model-GPTQ")
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


@pytest.fixture
def both(hub: HubServer) -> HubServer:
    """A Hub with a model and its GPTQ version."""
    facts = {"pipeline_tag": "text-generation", "downloads": 9}
    hub.add(Repository(BASE.source, FILES, facts=facts))
    quantized = {"config": {"quantization_config": GPTQ_CONFIG["quantization_config"]}}
    tags = (f"base_model:quantized:{BASE.source}",)
    hub.add(Repository(GPTQ.source, GPTQ_FILES, tags=tags, facts=quantized))
    return hub


@pytest.fixture
def window(make_window: MakeWindow, both: HubServer, home: Path) -> Playground:
    """A window with one lane, whose Hub is the one on loopback."""
    return make_window(
        settings=Settings(lanes=(LaneConfig(precision=Precision.INT8),)),
        place=HubPlace(both.endpoint, both.cache(home)),
        environment=both.environment(home),
    )


def open_picker(qtbot: QtBot, playground: Playground) -> ModelPicker:
    playground.window.actions.choose_model.trigger()
    picker = playground.window.findChild(ModelPicker)
    assert picker is not None
    settle(qtbot, picker)
    return picker


def click(qtbot: QtBot, button: QAbstractButton) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def configs(playground: Playground) -> list[tuple[ModelSpec, Precision]]:
    return [(lane.config.model, lane.config.precision) for lane in playground.lanes.lanes]


def test_from_the_search_to_two_lanes_without_leaving_the_window(
    qtbot: QtBot, both: HubServer, window: Playground
) -> None:
    hold = both.add_fault(Fault("GET /cdn/", after=1000, times=1))
    picker = open_picker(qtbot, window)
    qtbot.keyClicks(picker.view.filters.search, "model")
    settle(qtbot, picker)
    select(picker, BASE.source)
    qtbot.waitUntil(lambda: picker.page.compare_button.isVisible(), timeout=LONG)
    click(qtbot, picker.page.compare_button)
    assert not picker.isVisible()
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    assert configs(window) == [(ModelSpec(), Precision.INT8)]  # until both are here
    assert "the lanes are set up when they finish" in window.window.messages.text()
    assert window.window.indicator.isVisible()
    assert window.window.indicator.text().startswith("2 downloads")
    hold.release.set()
    qtbot.waitUntil(lambda: len(window.lanes.lanes) == 2, timeout=LONG)
    assert configs(window) == [(BASE, Precision.BF16), (GPTQ, Precision.GPTQ)]
    assert set(window.store.values.recents) == {BASE, GPTQ}
    told = f"{BASE.source} and {GPTQ.source} are on this machine now, and the lanes are set up."
    assert told in window.window.messages.text()
    assert not any(item.lanes for item in window.downloads.items())
    qtbot.waitUntil(lambda: not window.window.indicator.isVisible(), timeout=LONG)


def test_models_on_this_machine_go_into_lanes_at_once(
    qtbot: QtBot, make_window: MakeWindow, both: HubServer, home: Path
) -> None:
    cache = both.cache(home)
    put_snapshot(cache, BASE.source, "a" * 40, FILES, "main")
    put_snapshot(cache, GPTQ.source, "b" * 40, GPTQ_FILES, "main")
    window = make_window(place=HubPlace(both.endpoint, cache), environment=both.environment(home))
    assert len(window.lanes.lanes) == 3
    with qtbot.waitSignal(window.models.pending.model_chosen, timeout=LONG):
        window.models.pending.request([(BASE, Precision.BF16), (GPTQ, Precision.GPTQ)])
    # The third lane was empty and was removed.
    assert configs(window) == [(BASE, Precision.BF16), (GPTQ, Precision.GPTQ)]
    assert window.downloads.items() == ()
    with qtbot.waitSignal(window.models.pending.model_chosen, timeout=LONG):
        window.models.pending.request([(BASE, Precision.INT8)], window.lanes.presenters[1])
    assert configs(window) == [(BASE, Precision.BF16), (BASE, Precision.INT8)]


def held_request(qtbot: QtBot, both: HubServer, window: Playground) -> Fault:
    """Request bf16 and GPTQ lanes, whose first file is held back until the fault is released."""
    hold = both.add_fault(Fault("GET /cdn/", after=1000, times=1))
    window.models.pending.request([(BASE, Precision.BF16), (GPTQ, Precision.GPTQ)])
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    return hold


def test_a_cancelled_download_leaves_the_lanes_as_they_are(
    qtbot: QtBot, both: HubServer, window: Playground
) -> None:
    hold = held_request(qtbot, both, window)
    window.downloads.cancel(BASE.source)
    qtbot.waitUntil(lambda: "stay as they are" in window.window.messages.text(), timeout=LONG)
    with qtbot.waitSignal(window.downloads.finished, timeout=LONG):
        hold.release.set()
    assert configs(window) == [(ModelSpec(), Precision.INT8)]


def test_a_removed_download_leaves_the_lanes_as_they_are(
    qtbot: QtBot, both: HubServer, window: Playground
) -> None:
    hold = held_request(qtbot, both, window)
    window.downloads.remove(GPTQ.source)
    said = window.window.messages.text()
    assert f"{GPTQ.source} is no longer being downloaded; the lanes stay" in said
    with qtbot.waitSignal(window.downloads.finished, timeout=LONG):
        hold.release.set()
    assert configs(window) == [(ModelSpec(), Precision.INT8)]


def test_a_failed_download_says_so_and_another_try_fills_the_lane(
    qtbot: QtBot, both: HubServer, window: Playground
) -> None:
    both.repositories[BASE.source].gated = "manual"
    window.models.pending.request([(BASE, Precision.BF16)])
    qtbot.waitUntil(lambda: "is gated" in window.window.messages.text(), timeout=LONG)
    assert configs(window) == [(ModelSpec(), Precision.INT8)]
    assert window.window.indicator.text() == "1 download failed"
    both.repositories[BASE.source].gated = False
    with qtbot.waitSignal(window.models.pending.model_chosen, timeout=LONG):
        window.downloads.retry(BASE.source)
    assert configs(window) == [(BASE, Precision.BF16)]


def test_the_latest_request_counts(qtbot: QtBot, both: HubServer, window: Playground) -> None:
    window.models.pending.request([(BASE, Precision.BF16)])
    with qtbot.waitSignal(window.models.pending.model_chosen, timeout=LONG):
        window.models.pending.request([(ModelSpec(), Precision.NF4)])
    assert configs(window) == [(ModelSpec(), Precision.NF4)]
    with qtbot.waitSignal(window.context.notify.message, timeout=LONG) as told:
        window.models.pending.request([(ModelSpec("not an id"), Precision.BF16)])
    assert "is not a Hub id" in told.args[0]


def test_a_download_outlives_its_window(
    qtbot: QtBot, make_window: MakeWindow, both: HubServer, home: Path, window: Playground
) -> None:
    hold = both.add_fault(Fault("GET /cdn/", after=1000, times=1))
    window.downloads.add(BASE)
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    window.window.close()
    assert window.end()
    assert list(home.rglob("*.incomplete"))
    following = make_window(
        place=HubPlace(both.endpoint, both.cache(home)), environment=both.environment(home)
    )
    with qtbot.waitSignal(following.downloads.finished, timeout=LONG):
        following.start_ahead()
        assert "Resuming downloads" in following.window.messages.text()
    following.window.actions.downloads.trigger()
    shown = following.window.findChild(DownloadsPanel)
    assert shown is not None
    row = shown.row(BASE.source)
    assert row is not None
    assert "are on this machine" in row.state.text()


@pytest.mark.parametrize("pattern", ["model/resolve", "model-GPTQ/resolve"])
def test_lanes_that_wait_for_downloads_outlive_their_window(
    qtbot: QtBot,
    make_window: MakeWindow,
    both: HubServer,
    home: Path,
    window: Playground,
    pattern: str,
) -> None:
    """Whether the window closes in the first download or, with that one here, in the second."""
    hold = both.add_fault(Fault(f"GET /(owner|a)/{pattern}/.*/tokenizer.json", after=100, times=1))
    window.models.pending.request([(BASE, Precision.BF16), (GPTQ, Precision.GPTQ)])
    qtbot.waitUntil(hold.reached.is_set, timeout=LONG)
    window.window.close()
    assert window.end()
    following = make_window(
        place=HubPlace(both.endpoint, both.cache(home)), environment=both.environment(home)
    )
    following.start_ahead()
    assert "the lanes are set up when" in following.window.messages.text()
    wanted = [(BASE, Precision.BF16), (GPTQ, Precision.GPTQ)]
    qtbot.waitUntil(lambda: configs(following)[:2] == wanted, timeout=LONG)
    qtbot.waitUntil(lambda: "lanes are set up." in following.window.messages.text(), timeout=LONG)
    assert not any(item.lanes for item in following.downloads.items())


def test_a_request_whose_downloads_finished_with_the_window_is_served(
    qtbot: QtBot, make_window: MakeWindow, both: HubServer, home: Path
) -> None:
    cache = both.cache(home)
    put_snapshot(cache, BASE.source, "a" * 40, FILES, "main")
    lanes = ((BASE, Precision.NF4),)
    done = DownloadItem(
        key=BASE.source, spec=BASE, state=DownloadState.FINISHED, lanes=lanes, added=1.0
    )
    save(queue_file(), [done])
    window = make_window(place=HubPlace(both.endpoint, cache), environment=both.environment(home))
    with qtbot.waitSignal(window.models.pending.model_chosen, timeout=LONG):
        window.start_ahead()
    assert configs(window)[0] == (BASE, Precision.NF4)
    assert not window.downloads.items()[0].lanes
    # A cancelled one is not waited for.
    assert window.end()
    save(queue_file(), [msgspec.structs.replace(done, state=DownloadState.CANCELLED)])
    following = make_window(place=HubPlace(both.endpoint, cache))
    following.start_ahead()
    assert "set up" not in following.window.messages.text()
    assert not following.downloads.items()[0].lanes


def test_a_user_logs_in_and_compares_with_nothing_but_the_environment(
    both: HubServer, home: Path, tmp_path: Path
) -> None:
    """Mirror, cache and token come from the environment, as in a window that is really used."""
    repository = both.repositories[BASE.source]
    repository.gated, repository.granted = "auto", {"me"}
    both.tokens = {TOKEN: "me"}
    script = Path(__file__).with_name("hub_window_process.py")
    environment = child_environment(both.environment(home, PLAYGROUND_HOME=str(tmp_path)))
    environment["PYTHONPATH"] = os.pathsep.join([str(script.parent), environment["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "settings.toml")],
        input=f"{TOKEN}\n",
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{BASE.source}:bf16 {GPTQ.source}:gptq"
    assert TOKEN not in done.stderr
    assert (home / "token").read_text() == TOKEN
    holders = {path.name for path in files_with(tmp_path, TOKEN)}
    assert holders <= {"token", "stored_tokens"}


def files_with(folder: Path, text: str) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


def test_a_page_leads_to_a_gptq_version_of_ones_own(qtbot: QtBot, window: Playground) -> None:
    picker = open_picker(qtbot, window)
    select(picker, BASE.source)
    qtbot.waitUntil(lambda: picker.page.download_button.isVisible(), timeout=LONG)
    assert not picker.page.quantize_button.isVisible()  # it is not here
    select(picker, BUNDLED_NAME)
    qtbot.waitUntil(lambda: picker.page.quantize_button.isVisible(), timeout=LONG)
    click(qtbot, picker.page.quantize_button)
    assert not picker.isVisible()
    dialog = window.quantize.dialog
    assert dialog is not None
    assert dialog.isVisible()
    dialog.reject()


def row(id_: str, method: str = "", bits: int = 0, *, here: bool = False) -> ModelRow:
    return ModelRow(
        key=f"hub:{id_}",
        spec=ModelSpec(id_),
        where=Where.HUB,
        name=id_,
        quantization=method,
        bits=bits,
        size=4_000_000_000,
        is_here=here,
    )


def page(of: ModelRow, **changes: object) -> ModelPage:
    return ModelPage(spec=of.spec, row=of, commit="c" * 40, **changes)  # type: ignore[arg-type]


def test_which_precision_a_stored_model_is() -> None:
    assert precision_of(row("a/b")) is Precision.BF16
    assert precision_of(row("a/b", "gptq", 4)) is Precision.GPTQ
    assert precision_of(row("a/b", "int8")) is Precision.INT8
    assert precision_of(row("a/b", "nf4")) is Precision.NF4
    assert precision_of(row("a/b", "bitsandbytes", 8)) is Precision.INT8
    assert precision_of(row("a/b", "bitsandbytes", 4)) is Precision.NF4
    assert precision_of(row("a/b", "awq", 4)) is None


def test_the_pair_to_compare() -> None:
    plain, awq = page(row("o/m")), row("a/m-AWQ", "awq", 4)
    first, second = row("a/m-GPTQ", "gptq", 4), row("b/m-GPTQ", "gptq", 4, here=True)
    groups = [DerivativeGroup("gptq", "GPTQ", True, (first, second))]
    plan = comparison(plain, groups)
    assert plan is not None
    assert plan.label == "bf16 and GPTQ"
    assert plan.lanes == (
        (plain.spec, Precision.BF16),
        (second.spec, Precision.GPTQ),  # it is here
    )
    assert plan.first == "4.00 GB"
    assert comparison(plain, []) is None
    assert versus(plain, awq) is None
    assert comparison(page(row("o/m"), cannot_load="No."), groups) is None
    quantized = page(first, base_models=("o/m",))
    plan = comparison(quantized, groups)
    assert plan is not None
    assert plan.lanes == ((ModelSpec("o/m"), Precision.BF16), (first.spec, Precision.GPTQ))
    assert "o/m, if it is not here yet" in plan.first
    assert comparison(page(first), groups) is None  # nobody says what it was made from
    assert comparison(page(awq), groups) is None
    assert trial(page(awq)) is None
    alone = trial(page(second))
    assert alone is not None
    assert (alone.lanes, alone.first) == (((second.spec, Precision.GPTQ),), "")
