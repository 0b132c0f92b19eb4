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
from playground.gui.context import AppContext
from playground.gui.lanes.commands import LaneCommand
from playground.gui.memory.chart import MemoryChart
from playground.gui.memory.controller import MemoryController
from playground.gui.memory.dialog import MemoryDialog
from tests.gui.support import MakeWindow, chart_text

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
def chart(qtbot: QtBot) -> MemoryChart:
    chart = MemoryChart()
    qtbot.addWidget(chart)
    chart.resize(640, 320)
    chart.show()
    return chart


def table_of(sizes: ModelSizes, free: int, **more: int) -> MemoryTable:
    return memory_table(sizes, budget=DeviceBudget(), free=free, **more)


def image(chart: MemoryChart) -> QImage:
    return chart.bars.grab().toImage()


def test_every_precision_has_its_bar_verdict_and_context(
    chart: MemoryChart, sizes: ModelSizes
) -> None:
    bf16 = plan(sizes, Precision.BF16).needed
    chart.show_table(table_of(sizes, bf16 + 1_000_000))
    lines = {line.partition(":")[0]: line for line in chart_text(chart).splitlines()}
    assert "tight, 1,024 tokens" in lines["bf16"]
    assert "too large, none" in lines["GPTQ 4-bit"]
    assert "free now" in chart_text(chart)
    assert "needs a GPTQ version" in chart_text(chart)
    names = [w.accessibleName() for w in chart.bars.children() if hasattr(w, "accessibleName")]
    assert any("bf16: weights" in name and "cache for 1,024 tokens" in name for name in names)


def test_the_line_at_the_free_memory_moves_and_bars_are_drawn(
    chart: MemoryChart, sizes: ModelSizes
) -> None:
    chart.show_table(table_of(sizes, 2 * GB))
    before = image(chart)
    chart.show_table(table_of(sizes, GB // 2))
    assert image(chart) != before


def test_it_fits_into_the_page_of_a_window_of_1280(chart: MemoryChart, sizes: ModelSizes) -> None:
    for free in (20 * GB, 100_000_000):
        chart.show_table(table_of(sizes, free))
        assert chart.minimumSizeHint().width() <= 541


def test_a_packed_checkpoint_excludes_other_precisions_in_one_sentence(chart: MemoryChart) -> None:
    packed = read_checkpoint(resource("models", "classics-6m-gptq")).sizes
    chart.show_table(table_of(packed, 8 * GB))
    assert "It is stored as GPTQ: no other precision can be made of it." in chart_text(chart)
    shown = [r for r in range(chart.figures.rowCount()) if not chart.figures.isRowHidden(r)]
    assert [chart.figures.item(r, 0).text() for r in shown] == ["GPTQ 4-bit"]


def test_the_figures_say_the_same(chart: MemoryChart, sizes: ModelSizes, qtbot: QtBot) -> None:
    table = table_of(sizes, 8 * GB, reclaimable=GB)
    chart.show_table(table)
    assert chart.bars.isVisible()
    chart.side.button("figures").click()
    assert chart.figures.isVisible()
    assert not chart.bars.isVisible()
    row = chart.figures.item(1, 0).text(), chart.figures.item(1, 2).text()
    assert row == ("bf16", Fit.FITS.value)
    assert "includes 1.00 GB that the lane's model will release" in chart_text(chart)


def test_typing_a_context_is_emitted_once(
    chart: MemoryChart, sizes: ModelSizes, qtbot: QtBot
) -> None:
    chart.show_table(table_of(sizes, 8 * GB))
    emitted: list[int] = []
    chart.context_changed.connect(emitted.append)
    with qtbot.waitSignal(chart.context_changed, timeout=60_000):
        for tokens in (600, 700, 800):
            chart.context.setValue(tokens)
    assert emitted == [800]


def test_the_controller_reads_counts_and_follows_the_context(
    chart: MemoryChart, context: AppContext, qtbot: QtBot
) -> None:
    controller = MemoryController(chart, context, lambda: TWO_DEVICES, lambda _: GB)
    controller.read(ModelSpec("bundled"))
    assert "Reading" in chart_text(chart)
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


def test_what_cannot_be_read_is_a_sentence(
    chart: MemoryChart, context: AppContext, qtbot: QtBot, tmp_path: Path
) -> None:
    controller = MemoryController(chart, context, lambda: None)
    controller.read(ModelSpec(str(tmp_path / "nothing")))
    qtbot.waitUntil(lambda: "no folder" in chart_text(chart), timeout=60_000)
    assert chart.table is None


def test_a_lanes_menu_opens_the_chart_of_its_model(qtbot: QtBot, make_window: MakeWindow) -> None:
    playground = make_window()
    view = playground.lanes.presenters[0].view
    view.header.commands[LaneCommand.SHOW_MEMORY].trigger()
    (dialog,) = playground.window.findChildren(MemoryDialog)
    qtbot.waitUntil(lambda: dialog.chart.table is not None, timeout=60_000)
    assert "bf16: " in chart_text(dialog.chart)
    dialog.reject()
    assert dialog.chart.table is None
