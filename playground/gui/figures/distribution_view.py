"""The view of each lane's latency distribution: a share per bin, or cumulative."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtWidgets import QVBoxLayout, QWidget

from playground.core.format import ms_text
from playground.gui.figures import plot_data
from playground.gui.figures.canvas import PlotCanvas
from playground.gui.figures.plot_data import Series
from playground.gui.toolkit import theme

#: While lanes run, the histograms are computed at most once in this time (s).
_INTERVAL = 0.5


class DistributionView(QWidget):
    """Histograms of all lanes with common bins, and each lane's p50 and p95."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = PlotCanvas(
            "inter-token latency (ms)", "share of tokens (%)", "Distribution of the latencies"
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.canvas)
        self.following = True
        self._log = False
        self._cumulative = False
        self._lanes: dict[int, Series] = {}
        self._items: dict[int, tuple[Any, Any, Any]] = {}
        self._edges: plot_data.FloatArray = np.array([0.0, 1.0])
        self._shares: dict[int, plot_data.FloatArray] = {}
        self._drawn_at = 0.0
        self._bin = -1
        self.canvas.moved.connect(self._moved)
        self.canvas.stepped.connect(self._step)
        self.canvas.pointed.connect(self._point)
        self.canvas.left.connect(self.forget)
        theme.theme_changed.connect(self._restyle)

    def set_log(self, on: bool) -> None:
        self._log = on
        self.canvas.set_log("bottom", on)
        self.draw(self._lanes, force=True)

    def set_cumulative(self, on: bool) -> None:
        self._cumulative = on
        for index in self._items:
            self._style(index)
        title = "tokens up to this latency (%)" if on else "share of tokens (%)"
        self.canvas.set_titles("inter-token latency (ms)", title)
        self.draw(self._lanes, force=True)

    def follow(self) -> None:
        self.following = True
        self.draw(self._lanes, force=True)

    def draw(self, lanes: dict[int, Series], *, force: bool = False) -> None:
        """Show the lanes' distributions; with `force` also if they were drawn a moment ago."""
        self._lanes = lanes
        running = any(not lane.finished for lane in lanes.values())
        now = time.monotonic()
        if running and not force and now - self._drawn_at < _INTERVAL:
            return
        self._drawn_at = now
        for index in [i for i in self._items if i not in lanes]:
            for item in self._items.pop(index):
                self.canvas.item.removeItem(item)
        shown = [lane for lane in lanes.values() if lane.shown and lane.count > 1]
        self._edges = plot_data.edges_for(shown, log=self._log)
        self._shares = {
            lane.index: plot_data.shares(
                lane.trace.inter_token_ms,
                self._edges,
                log=self._log,
                cumulative=self._cumulative,
            )
            for lane in shown
        }
        edges = np.log10(self._edges) if self._log else self._edges
        for index in lanes:
            items = self._items.get(index) or self._new_items(index)
            for item in items:
                item.setVisible(index in self._shares)
            if index not in self._shares:
                continue
            curve, median, high = items
            curve.setData(edges, self._shares[index], stepMode="center")
            for line, value in ((median, lanes[index].p50), (high, lanes[index].p95)):
                if value is not None:
                    line.setValue(float(np.log10(max(value, 1e-3))) if self._log else value)
        if self.following:
            top = max((float(s.max()) for s in self._shares.values()), default=1.0)
            top = 102.0 if self._cumulative else plot_data.nice_ceiling(max(top, 0.1) * 1.05)
            self.canvas.set_range((float(edges[0]), float(edges[-1])), (0.0, top))

    def forget(self) -> None:
        self._bin = -1
        self.canvas.hide_rows()

    def read(self, number: int) -> None:
        """Show every lane's share in bin `number`."""
        if not self._shares:
            return
        self._bin = min(max(number, 0), len(self._edges) - 2)
        low, high = self._edges[self._bin], self._edges[self._bin + 1]
        title = f"{ms_text(low)} to {ms_text(high)}"
        if self._bin == len(self._edges) - 2:
            title = f"{ms_text(low)} and above"
        elif self._cumulative:
            title = f"up to {ms_text(high)}"
        rows = [
            (index, self._lanes[index].name, f"{share[self._bin]:.1f} %")
            for index, share in self._shares.items()
        ]
        middle = (low + high) / 2
        self.canvas.show_rows(float(np.log10(middle)) if self._log else float(middle), title, rows)

    def _new_items(self, index: int) -> tuple[Any, Any, Any]:
        items = (
            pg.PlotDataItem(antialias=False),
            pg.InfiniteLine(angle=90),
            pg.InfiniteLine(angle=90),
        )
        for item in items:
            self.canvas.item.addItem(item, ignoreBounds=True)
        self._items[index] = items
        self._style(index)
        return items

    def _style(self, index: int) -> None:
        curve, median, high = self._items[index]
        curve.setPen(theme.lane_pen(index))
        back = theme.lane_line_color(index)
        back.setAlpha(40)
        # Cumulative curves all end at 100 %, and filled ones would hide each other.
        curve.setFillLevel(None if self._cumulative else 0.0)
        curve.setBrush(None if self._cumulative else back)
        median.setPen(theme.lane_pen(index, 150))
        high.setPen(theme.lane_pen(index, 80))

    def _restyle(self) -> None:
        for index in self._items:
            self._style(index)

    def _moved(self) -> None:
        self.following = False

    def _step(self, by: int) -> None:
        self.read(self._bin + by)

    def _point(self, x: float) -> None:
        value = 10.0**x if self._log else x
        number = int(np.searchsorted(self._edges, value)) - 1
        if self._shares and 0 <= number < len(self._edges) - 1:
            self.read(number)
        else:
            self.forget()
