"""The view of latency over the token number: each lane's line, percentiles and TTFT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGraphicsSimpleTextItem, QVBoxLayout, QWidget

from playground.core.format import ms_text, percent_text
from playground.gui.figures import plot_data
from playground.gui.figures.canvas import PlotCanvas
from playground.gui.figures.plot_data import LEAST_MS, Series, TokenNumbers
from playground.gui.toolkit import theme

_LEGEND = "dotted: the floor, set by memory bandwidth"
_TTFT_ROW = 20  # pixels at the top for the lanes' TTFTs


class _LaneItems:
    """The graphics items of one lane."""

    def __init__(self, canvas: PlotCanvas, index: int) -> None:
        self.curve: Any = pg.PlotDataItem(skipFiniteCheck=True, antialias=False)
        self.median: Any = pg.InfiniteLine(angle=0)
        self.high: Any = pg.InfiniteLine(angle=0)
        self.floor: Any = pg.PlotDataItem(skipFiniteCheck=True, antialias=False)
        self.first: Any = pg.ScatterPlotItem(size=9, pxMode=True)
        # Positioned in the box's pixels; plain text, which is never interpreted as HTML.
        self.label = QGraphicsSimpleTextItem(canvas.box)
        self._canvas = canvas
        for item in (self.curve, self.median, self.high, self.floor, self.first):
            canvas.item.addItem(item, ignoreBounds=True)
        self.median.setZValue(10)
        self.high.setZValue(10)
        self.floor.setZValue(11)
        self.first.setZValue(20)
        self.label.setZValue(21)
        self.restyle(index)

    def restyle(self, index: int) -> None:
        self.curve.setPen(theme.lane_pen(index))
        self.median.setPen(theme.lane_pen(index, 150))
        self.high.setPen(theme.lane_pen(index, 80))
        self.floor.setPen(theme.floor_pen(index))
        self.first.setBrush(theme.lane_line_color(index))
        self.first.setPen(pg.mkPen(theme.color("surface")))
        self.label.setBrush(theme.lane_text_color(index))
        self.label.setFont(theme.ui_font(0.88))

    def show(self, on: bool) -> None:
        for item in self.all():
            item.setVisible(on)

    def all(self) -> tuple[Any, ...]:
        return (self.curve, self.median, self.high, self.floor, self.first, self.label)

    def remove(self) -> None:
        for item in self.all()[:-1]:
            self._canvas.item.removeItem(item)
        self._canvas.plot.scene().removeItem(self.label)


class TokenView(QWidget):
    """Follows the running lanes until the user moves the range; `follow` resumes."""

    reading = Signal(int)  # the read-out shows this token, 0 for none

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = PlotCanvas(
            "token", "latency (ms)", "Inter-token latency over the token number"
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.canvas)
        self.following = True
        self._log = False
        self._floors = True
        self._top = 0.0
        self._items: dict[int, _LaneItems] = {}
        self._lanes: dict[int, Series] = {}
        self._numbers = TokenNumbers()
        self._token = 0
        self._legend = QGraphicsSimpleTextItem(_LEGEND, self.canvas.box)
        self._legend.setZValue(21)
        self._restyle()
        self.canvas.moved.connect(self._moved)
        self.canvas.stepped.connect(self._step)
        self.canvas.pointed.connect(self._point)
        self.canvas.left.connect(self.forget)
        self.canvas.box.sigRangeChanged.connect(self._range_changed)
        self.canvas.box.sigResized.connect(self._place_labels)
        theme.theme_changed.connect(self._restyle)

    def set_log(self, on: bool) -> None:
        self._log = on
        self._top = 0.0
        self.canvas.set_log("left", on)
        self.draw(self._lanes)

    def set_floors(self, on: bool) -> None:
        """Show the floors, as lines and in the read-out."""
        self._floors = on
        self.draw(self._lanes)

    def follow(self) -> None:
        """Show the running lanes, or everything if none runs."""
        self.following = True
        self._top = 0.0
        self.draw(self._lanes)

    def draw(self, lanes: dict[int, Series]) -> None:
        """Show the lanes as they are; the cost does not depend on their length."""
        self._lanes = lanes
        for index in [i for i in self._items if i not in lanes]:
            self._items.pop(index).remove()
        shown = [lane for lane in lanes.values() if lane.shown and lane.count]
        if self.following:
            self._set_range(shown)
        for index, lane in lanes.items():
            items = self._items.get(index)
            if items is None:
                if not lane.count:
                    continue
                items = self._items[index] = _LaneItems(self.canvas, index)
            visible = lane.shown and lane.count > 0
            items.show(visible)
            if visible:
                self._draw_lane(lane, items)
        self._place_labels()

    def forget(self) -> None:
        """Hide the read-out."""
        self._token = 0
        self.canvas.hide_rows()
        self.reading.emit(0)

    def read(self, token: int) -> None:
        """Show every lane's value at `token` (counted from one)."""
        lanes = [lane for lane in self._lanes.values() if lane.shown and lane.count]
        if not lanes:
            return
        self._token = min(max(token, 1), max(lane.count for lane in lanes))
        rows = []
        for lane in lanes:
            if self._token == 1:
                ttft = lane.trace.ttft_s
                value = f"TTFT {ms_text(None if ttft is None else ttft * 1e3)}"
            else:
                value = self._gap_text(lane)
            rows.append((lane.index, lane.name, value))
        self.canvas.show_rows(float(self._token), f"token {self._token:,}", rows)
        self.reading.emit(self._token)

    def _gap_text(self, lane: Series) -> str:
        gap = lane.gap_at(self._token)
        least = lane.floor_at(self._token) if self._floors else None
        if gap is None or least is None:
            return ms_text(gap)
        reached = f": {percent_text(least / gap)}" if gap > 0 else ""
        return f"{ms_text(gap)} (floor {ms_text(least)}{reached})"

    def _draw_lane(self, lane: Series, items: _LaneItems) -> None:
        """Draw the visible part with at most two points per column of pixels."""
        (left, right), _ = self.canvas.box.viewRange()
        gaps = lane.trace.inter_token_ms
        numbers, shown = plot_data.decimate(
            self._numbers.upto(len(gaps)), gaps, left, right, max(200, int(self.canvas.box.width()))
        )
        items.curve.setData(numbers, self._scaled(shown), skipFiniteCheck=True)
        tokens, least = lane.floor_line(left, right) if self._floors else (numbers[:0], shown[:0])
        items.floor.setData(tokens, self._scaled(least), skipFiniteCheck=True)
        for line, value in ((items.median, lane.p50), (items.high, lane.p95)):
            line.setVisible(value is not None)
            if value is not None:
                line.setValue(self._scale(value))

    def _set_range(self, shown: list[Series]) -> None:
        x = plot_data.follow_range(shown)
        if self._log:
            low, high = plot_data.log_range(shown, floors=self._floors)
        else:
            self._top = plot_data.follow_top(shown, self._top)
            low, high = 0.0, self._top
        height = self.canvas.box.height()
        if height > 3 * _TTFT_ROW:
            high += (high - low) * _TTFT_ROW / (height - _TTFT_ROW)
        self.canvas.set_range(x, (low, high))

    def _place_labels(self) -> None:
        """Mark each TTFT at token 1, at the top where it lies above, and list them in a row."""
        (left, right), (low, high) = self.canvas.box.viewRange()
        height = self.canvas.box.height()
        if height <= 0 or high <= low:
            return
        pixel = (high - low) / height
        left_edge = 10.0
        for index, items in sorted(self._items.items()):
            lane = self._lanes.get(index)
            ttft = lane.trace.ttft_s if lane is not None and lane.shown else None
            items.first.setVisible(ttft is not None and left <= 1 <= right)
            items.label.setVisible(ttft is not None)
            if ttft is None:
                continue
            value, top = self._scale(ttft * 1e3), high - (_TTFT_ROW + 6) * pixel
            symbol = "t1" if value > top else "d"
            items.first.setData([1.0], [min(value, top)], symbol=symbol)
            text = f"{'▲' if value > top else '◆'} TTFT {ms_text(ttft * 1e3)}"
            if items.label.text() != text:
                items.label.setText(text)
            items.label.setPos(left_edge, 3)
            left_edge += items.label.boundingRect().width() + 16
        self._place_legend(left_edge)

    def _place_legend(self, left: float) -> None:
        """Explain the dotted lines at the right of the TTFTs where there is space."""
        known = any(lane.shown and lane.count > 1 and lane.floor for lane in self._lanes.values())
        x = self.canvas.box.width() - self._legend.boundingRect().width() - 10
        self._legend.setVisible(self._floors and known and x >= left)
        self._legend.setPos(x, 3)

    def _scale(self, milliseconds: float) -> float:
        return float(np.log10(max(milliseconds, LEAST_MS))) if self._log else milliseconds

    def _scaled(self, gaps: plot_data.FloatArray) -> plot_data.FloatArray:
        return np.log10(np.maximum(gaps, LEAST_MS)) if self._log else gaps

    def _moved(self) -> None:
        self.following = False
        self._range_changed()

    def _range_changed(self) -> None:
        """Draw the visible part again; while following, `draw` does it anyway."""
        if not self.following:
            for index, items in self._items.items():
                lane = self._lanes.get(index)  # None: the next `draw` removes its items
                if lane is not None and lane.shown:
                    self._draw_lane(lane, items)
        self._place_labels()

    def _step(self, by: int) -> None:
        self.read((self._token or (0 if by > 0 else 1)) + by)

    def _point(self, x: float) -> None:
        token = round(x)
        if token >= 1 and any(lane.count for lane in self._lanes.values()):
            self.read(token)
        else:
            self.forget()

    def _restyle(self) -> None:
        for index, items in self._items.items():
            items.restyle(index)
        self._legend.setBrush(theme.color("muted"))
        self._legend.setFont(theme.ui_font(0.88))
        self._place_labels()
