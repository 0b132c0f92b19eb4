"""The memory chart, fed with real models."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from playground.core.facts import DeviceFacts, EngineFacts, ModelSpec
from playground.core.memory.plan import DeviceBudget, Fit, plan
from playground.core.memory.table import MemoryTable, memory_table
from playground.core.model.checkpoint import read_checkpoint
from playground.core.model.weights import ModelSizes
from playground.core.precision import Precision
from playground.core.system.resources import resource
from playground.gui.memory.chart import FitChart
from playground.gui.memory.controller import FitController
from playground.gui.memory.dialog import FitDialog
from playground.gui.toolkit.background import Background
from playground.hub.place import HubPlace
from tests.gui.support import MakeWindow

GB = 10**9
TWO_DEVICES = EngineFacts(
    python="3",
    devices=(DeviceFacts("cpu", "a processor", 9 * GB, 8 * GB), DeviceFacts("cuda:0", "x", 9, 7)),
    versions={},
    probes={},
)


@pytest.fixture(scope="module")
def sizes() -> ModelSizes:
    return read_checkpoint(resource("models", "classics-6m")).sizes


@pytest.fixture
def chart(qtbot: QtBot) -> FitChart:
    chart = FitChart()
    qtbot.addWidget(chart)
    chart.resize(640, 320)
    chart.show()
    return chart


def made(sizes: ModelSizes, free: int, **more: int) -> MemoryTable:
    return memory_table(sizes, budget=DeviceBudget(), free=free, **more)


def image(chart: FitChart) -> QImage:
    return chart.bars.grab().toImage()


def test_every_precision_has_its_bar_verdict_and_context(
    chart: FitChart, sizes: ModelSizes
) -> None:
    bf16 = plan(sizes, Precision.BF16).needed
    chart.show_table(made(sizes, bf16 + 1_000_000))
    lines = {line.partition(":")[0]: line for line in chart.text().splitlines()}
    assert "tight, 1,024 tokens" in lines["bf16"]
    assert "too large, none" in lines["GPTQ 4-bit"]
    assert "free now" in chart.text()
    assert "as a GPTQ version" in chart.text()
    names = [w.accessibleName() for w in chart.bars.children() if hasattr(w, "accessibleName")]
    assert any("bf16: weights" in name and "cache for 1,024 tokens" in name for name in names)


def test_the_line_of_what_is_free_moves_and_bars_are_drawn(
    chart: FitChart, sizes: ModelSizes
) -> None:
    chart.show_table(made(sizes, 2 * GB))
    before = image(chart)
    chart.show_table(made(sizes, GB // 2))
    assert image(chart) != before


def test_it_has_room_in_the_page_of_a_window_of_1280(chart: FitChart, sizes: ModelSizes) -> None:
    for free in (20 * GB, 100_000_000):
        chart.show_table(made(sizes, free))
        assert chart.minimumSizeHint().width() <= 541


def test_what_a_packed_checkpoint_cannot_be_is_one_sentence(chart: FitChart) -> None:
    packed = read_checkpoint(resource("models", "classics-6m-gptq")).sizes
    chart.show_table(made(packed, 8 * GB))
    assert "It is stored as GPTQ: no other precision can be had of it." in chart.text()
    shown = [r for r in range(chart.figures.rowCount()) if not chart.figures.isRowHidden(r)]
    assert [chart.figures.item(r, 0).text() for r in shown] == ["GPTQ 4-bit"]


def test_the_figures_say_the_same(chart: FitChart, sizes: ModelSizes, qtbot: QtBot) -> None:
    table = made(sizes, 8 * GB, reclaimable=GB)
    chart.show_table(table)
    assert chart.bars.isVisible()
    chart.side.button("figures").click()
    assert chart.figures.isVisible()
    assert not chart.bars.isVisible()
    row = chart.figures.item(1, 0).text(), chart.figures.item(1, 2).text()
    assert row == ("bf16", Fit.FITS.value)
    assert "1.00 GB of it comes back" in chart.text()


def test_typing_a_context_is_told_once(chart: FitChart, sizes: ModelSizes, qtbot: QtBot) -> None:
    chart.show_table(made(sizes, 8 * GB))
    told: list[int] = []
    chart.context_changed.connect(told.append)
    with qtbot.waitSignal(chart.context_changed, timeout=60_000):
        for tokens in (600, 700, 800):
            chart.context.setValue(tokens)
    assert told == [800]


def test_the_controller_reads_counts_and_follows_the_context(chart: FitChart, qtbot: QtBot) -> None:
    background = Background()
    controller = FitController(chart, background, lambda: TWO_DEVICES, lambda _: GB)
    controller.read(ModelSpec("bundled"), HubPlace())
    assert "Reading" in chart.text()
    qtbot.waitUntil(lambda: chart.table is not None, timeout=60_000)
    first = chart.table
    assert first is not None
    assert (first.context, first.device, first.reclaimable) == (1024, "cpu", GB)
    chart.context_changed.emit(256)
    assert chart.table is not None
    assert chart.table.context == 256
    assert chart.device.isVisible()
    chart.device.setCurrentIndex(1)
    assert chart.table.device == "cuda:0"
    assert chart.table.free == 7 + GB
    controller.clear()
    assert chart.table is None
    assert background.close()


def test_what_cannot_be_read_is_a_sentence(chart: FitChart, qtbot: QtBot, tmp_path: Path) -> None:
    background = Background()
    controller = FitController(chart, background, lambda: None)
    controller.read(ModelSpec(str(tmp_path / "nothing")), HubPlace())
    qtbot.waitUntil(lambda: "no folder" in chart.text(), timeout=60_000)
    assert chart.table is None
    assert background.close()


def test_a_lanes_menu_opens_the_chart_of_its_model(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window()
    view = playground.lanes.presenters[0].view
    view.header.entries["memory"].trigger()
    (dialog,) = playground.window.findChildren(FitDialog)
    qtbot.waitUntil(lambda: dialog.chart.table is not None, timeout=60_000)
    assert "bf16: " in dialog.chart.text()
    dialog.reject()
    assert dialog.chart.table is None
