"""The latency plot: what it draws, reads out, and saves."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from playground.core.errors import PlaygroundError
from playground.core.floor import Floor
from playground.core.trace import LatencyTrace
from playground.gui.figures import plot_data
from playground.gui.figures.plot import LatencyPlot
from playground.gui.figures.plot_data import Series
from playground.gui.toolkit import theme

#: The offscreen platform says so of every window with a smallest size.
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)


def steady(count: int, gap: float, ttft: float) -> LatencyTrace:
    return LatencyTrace([ttft + i * gap for i in range(count)])


@pytest.fixture
def plot(qtbot: QtBot, qapp: QApplication) -> LatencyPlot:
    theme.apply_theme(qapp, "light")
    widget = LatencyPlot()
    qtbot.addWidget(widget)
    widget.resize(900, 300)
    widget.show()
    for index, (gap, ttft) in enumerate(((0.010, 0.03), (0.025, 0.08))):
        widget.set_lane(index, f"<b>lane</b> {index}")
        widget.update_lane(index, steady(100, gap, ttft))
        widget.finish_lane(index)
    qtbot.waitUntil(lambda: not widget._stack.hint.isVisible())
    return widget


def test_empty_plot_says_what_to_do(qtbot: QtBot) -> None:
    widget = LatencyPlot()
    qtbot.addWidget(widget)
    widget.show()
    assert widget._stack.hint.isVisible()
    assert "Run a prompt" in widget._stack.hint.text()


def test_lines_are_drawn_over_token_numbers(plot: LatencyPlot) -> None:
    x, y = plot.tokens._items[1].curve.getData()
    assert x[0] == 2
    assert x[-1] == 100
    assert y == pytest.approx(np.full(99, 25.0))


def test_percentiles_and_ttft_are_marked(plot: LatencyPlot) -> None:
    items = plot.tokens._items
    assert items[0].median.value() == pytest.approx(10.0)
    assert items[1].high.value() == pytest.approx(25.0)
    assert items[0].label.text().endswith("TTFT 30.0 ms")
    # The other's 80 ms lie above the visible part: an arrow at the upper edge.
    assert items[1].label.text() == "▲ TTFT 80.0 ms"


def test_arrow_keys_read_every_lane(plot: LatencyPlot, qtbot: QtBot) -> None:
    canvas = plot.tokens.canvas
    qtbot.keyClick(canvas.plot, Qt.Key.Key_Right)
    assert canvas.read_out.title() == "token 1"
    assert [row[2] for row in canvas.read_out.rows()] == ["TTFT 30.0 ms", "TTFT 80.0 ms"]
    qtbot.keyClick(canvas.plot, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert canvas.read_out.title() == "token 11"
    assert [row[2] for row in canvas.read_out.rows()] == ["10.0 ms", "25.0 ms"]
    assert "25.0 ms" in canvas.plot.accessibleDescription()
    qtbot.keyClick(canvas.plot, Qt.Key.Key_End)
    assert canvas.read_out.title() == "token 100"


def test_the_floor_rises_under_its_lane_and_is_read_out(plot: LatencyPlot, qtbot: QtBot) -> None:
    floor = Floor(weight_bytes=4_000_000, cache_bytes=10_000, bandwidth=1e9)
    assert not plot.tokens._legend.isVisible()
    plot.update_lane(0, steady(100, 0.010, 0.03), floor, prompt_tokens=20)
    plot.finish_lane(0)
    plot._draw_now()
    x, y = plot.tokens._items[0].floor.getData()
    assert (x[0], x[-1]) == (2, 100)
    assert y[0] == pytest.approx(4 + 0.01 * 21)
    assert y[-1] == pytest.approx(4 + 0.01 * 119)
    assert plot.tokens._items[1].floor.getData()[0] is None  # nothing is known of its floor
    assert plot.tokens._legend.isVisible()
    plot.tokens.read(81)
    values = [row[2] for row in plot.tokens.canvas.read_out.rows()]
    assert values == ["10.0 ms (floor 5.00 ms: 50%)", "25.0 ms"]
    plot.floor.click()
    assert plot.tokens._items[0].floor.getData()[0] is None
    assert not plot.tokens._legend.isVisible()
    plot.tokens.read(81)
    assert plot.tokens.canvas.read_out.rows()[0][2] == "10.0 ms"


def test_a_floor_is_visible_on_a_logarithmic_axis(plot: LatencyPlot) -> None:
    floor = Floor(weight_bytes=50_000, cache_bytes=100, bandwidth=1e9)
    plot.update_lane(0, steady(100, 0.010, 0.03), floor)
    plot.log.setChecked(True)
    assert plot.tokens.canvas.box.viewRange()[1][0] < np.log10(0.05)
    _, y = plot.tokens._items[0].floor.getData()
    assert y[0] == pytest.approx(np.log10(0.0501), abs=1e-3)


def test_names_are_never_html(plot: LatencyPlot) -> None:
    plot.tokens.read(5)
    assert plot.tokens.canvas.read_out.rows()[0][1] == "<b>lane</b> 0"
    assert plot._chips[0].full_text() == "<b>lane</b> 0"


def test_zoom_keeps_and_zero_resets_the_range(plot: LatencyPlot, qtbot: QtBot) -> None:
    canvas = plot.tokens.canvas
    whole = canvas.box.viewRange()[0]
    qtbot.keyClick(canvas.plot, Qt.Key.Key_Plus)
    zoomed = canvas.box.viewRange()[0]
    assert zoomed[1] - zoomed[0] < whole[1] - whole[0]
    plot.update_lane(0, steady(200, 0.01, 0.03))
    plot._draw_now()
    assert canvas.box.viewRange()[0] == zoomed
    plot.finish_lane(0)
    qtbot.keyClick(canvas.plot, Qt.Key.Key_0)
    assert canvas.box.viewRange()[0][1] > 200


def test_log_scale_draws_logarithms(plot: LatencyPlot) -> None:
    plot.log.setChecked(True)
    _, y = plot.tokens._items[0].curve.getData()
    assert y == pytest.approx(np.ones(99))
    assert plot.tokens._items[0].median.value() == pytest.approx(1.0)


def test_distribution_counts_every_token(plot: LatencyPlot, qtbot: QtBot) -> None:
    plot.views.button("distribution").click()
    assert plot.distribution.isVisible()
    assert plot.view() == "distribution"
    for share in plot.distribution._shares.values():
        assert share.sum() == pytest.approx(100)
    plot.cumulative.setChecked(True)
    for share in plot.distribution._shares.values():
        assert share[-1] == pytest.approx(100)
    plot.log.setChecked(True)
    assert plot.distribution._shares[0][-1] == pytest.approx(100)


def test_a_lanes_name_is_not_elided_where_it_fits(plot: LatencyPlot, qtbot: QtBot) -> None:
    plot.resize(940, 230)
    plot.set_lane(0, "a · bf16")
    plot.set_lane(1, "a model with a longer name · GPTQ 4-bit")
    long = plot._chips[1]
    qtbot.waitUntil(lambda: long.text() == long.full_text())
    plot.resize(560, 230)
    qtbot.waitUntil(lambda: long.text() != long.full_text())


def test_the_head_fits_into_the_smallest_window(plot: LatencyPlot) -> None:
    for index in range(4):
        plot.set_lane(index, f"a model with a long name · lane {index}")
    assert plot.minimumSizeHint().width() <= 472


def test_chip_hides_a_lane(plot: LatencyPlot) -> None:
    plot._chips[0].click()
    assert not plot.tokens._items[0].curve.isVisible()
    assert plot.tokens._items[1].curve.isVisible()


def test_following_shows_the_last_thousand() -> None:
    running = Series(0, "a", finished=False)
    running.update(steady(50_000, 0.001, 0.01))
    assert plot_data.follow_range([running]) == (49_000.0, 50_000.0)
    other = Series(1, "b", finished=False)
    other.update(steady(10, 0.001, 0.01))
    running.finished = True
    left, right = plot_data.follow_range([running, other])
    assert left == 0
    assert right == 1_000


def test_decimation_keeps_every_peak() -> None:
    values = np.ones(100_000)
    values[[17, 50_000, 99_999]] = (9.0, 7.0, 8.0)
    numbers = np.arange(2.0, 100_002.0)
    x, y = plot_data.decimate(numbers, values, 0, 100_002, 500)
    assert len(x) <= 1_001
    assert {9.0, 7.0, 8.0} <= set(y.tolist())
    assert (np.diff(x) >= 0).all()


def test_csv_has_every_token(plot: LatencyPlot, tmp_path: Path) -> None:
    path = tmp_path / "latency.csv"
    plot.set_lane(0, 'a "quoted", name')
    plot.export(path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 200
    assert rows[0] == {
        "lane": "1",
        "name": 'a "quoted", name',
        "token": "1",
        "time_s": "0.030000000",
        "inter_token_ms": "",
    }
    assert float(rows[150]["inter_token_ms"]) == pytest.approx(25.0)
    assert rows[150]["lane"] == "2"


@pytest.mark.parametrize("view", ["over tokens", "distribution"])
def test_png_is_a_picture_with_the_lanes_colours(
    plot: LatencyPlot, tmp_path: Path, view: str
) -> None:
    plot.set_view(view)
    path = tmp_path / "latency.png"
    plot.export(path)
    image = QImage(str(path))
    assert image.width() > 1_000
    found = {
        image.pixelColor(x, y).name()
        for x in range(0, image.width(), 2)
        for y in range(0, image.height(), 2)
    }
    assert theme.lane_line_color(0).name() in found
    assert theme.lane_line_color(1).name() in found


def test_svg_renders(plot: LatencyPlot, tmp_path: Path) -> None:
    path = tmp_path / "latency.svg"
    plot.update_lane(0, steady(100_000, 0.01, 0.03))
    plot.finish_lane(0)
    plot.export(path)
    assert path.stat().st_size < 1_000_000
    renderer = QSvgRenderer(str(path))
    assert renderer.isValid()
    assert renderer.defaultSize().width() > 500
    text = path.read_text("utf-8")
    assert theme.lane_line_color(1).name() in text
    assert "&lt;b&gt;lane" in text


def test_export_failures_name_the_remedy(plot: LatencyPlot, tmp_path: Path) -> None:
    with pytest.raises(PlaygroundError, match=r"ends in \.png, \.svg or \.csv"):
        plot.export(tmp_path / "latency.gif")
    for suffix in ("png", "svg", "csv"):
        with pytest.raises(PlaygroundError, match="could not be saved"):
            plot.export(tmp_path / "missing" / f"latency.{suffix}")


def test_a_full_disk_leaves_no_half_picture(
    plot: LatencyPlot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(PlaygroundError, match="No space left"):
        plot.export(tmp_path / "latency.png")
    assert not (tmp_path / "latency.png").exists()


def test_removed_lane_leaves_nothing(plot: LatencyPlot) -> None:
    plot.remove_lane(1)
    plot._draw_now()
    assert list(plot.tokens._items) == [0]
    plot.clear_lane(0)
    plot._draw_now()
    assert plot._stack.hint.isVisible()


def test_updates_draw_few_points_at_any_length(plot: LatencyPlot) -> None:
    plot.update_lane(0, steady(100_000, 0.001, 0.03))
    plot._draw_now()
    x, _ = plot.tokens._items[0].curve.getData()
    assert len(x) <= 1_010
    assert x[-1] == 100_000
