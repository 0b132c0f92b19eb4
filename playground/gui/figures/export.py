"""Saves the latency plot as a picture (PNG, SVG) or as numbers (CSV)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QBuffer, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator

from playground.core.errors import PlaygroundError
from playground.gui.figures.canvas import PlotCanvas
from playground.gui.figures.plot_data import Series, write_csv
from playground.gui.toolkit import theme

#: The file formats by the name filters of a file dialog.
_SUFFIXES = {
    "PNG picture (*.png)": "png",
    "SVG drawing (*.svg)": "svg",
    "CSV table (*.csv)": "csv",
}
FILTERS = tuple(_SUFFIXES)
_HEAD = 28  # pixels above the plot for the lanes' names
_SCALE = 2  # a PNG's pixels per pixel of the screen, for sharp print


def suffix_of(name_filter: str) -> str:
    """Return the suffix, without its dot, of one of FILTERS."""
    return _SUFFIXES.get(name_filter, "png")


def export(path: Path, canvas: PlotCanvas, lanes: Sequence[Series]) -> None:
    """Save in the format of the suffix: .png, .svg or .csv. Raises PlaygroundError on failure."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        table = io.StringIO(newline="")
        write_csv(lanes, table)
        data = table.getvalue().encode()
    elif suffix == ".png":
        data = _png(canvas, lanes)
    elif suffix == ".svg":
        data = _svg(canvas, lanes)
    else:
        raise PlaygroundError(
            f"The plot cannot be saved as {suffix or 'a file without a suffix'}.",
            "Choose a name that ends in .png, .svg or .csv.",
        )
    new = False
    try:
        new = not path.exists()
        path.write_bytes(data)
    except OSError as error:
        with contextlib.suppress(OSError):
            if new:
                path.unlink(missing_ok=True)  # half of it, on a full disk
        raise PlaygroundError(
            f"The plot could not be saved to {path}: {error.strerror}.",
            "Choose a folder that you can write to.",
            str(error),
        ) from error


def _size(canvas: PlotCanvas) -> QSize:
    plot = canvas.plot.size()
    return QSize(max(plot.width(), 320), max(plot.height(), 160) + _HEAD)


def _png(canvas: PlotCanvas, lanes: Sequence[Series]) -> bytes:
    size = _size(canvas)
    image = QImage(size * _SCALE, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(_SCALE)
    image.fill(theme.color("surface"))
    painter = QPainter(image)
    _paint(painter, size, canvas, lanes)
    painter.end()
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]
    return bytes(buffer.data().data())


def _svg(canvas: PlotCanvas, lanes: Sequence[Series]) -> bytes:
    size = _size(canvas)
    generator = QSvgGenerator()
    buffer = QBuffer()
    generator.setOutputDevice(buffer)
    generator.setSize(size)
    generator.setViewBox(QRect(0, 0, size.width(), size.height()))
    screen = QGuiApplication.primaryScreen()
    generator.setResolution(round(screen.logicalDotsPerInch()) if screen else 96)
    generator.setTitle("Inter-token latency")
    generator.setDescription("; ".join(lane.name for lane in lanes))
    painter = QPainter(generator)
    painter.fillRect(QRectF(0, 0, size.width(), size.height()), theme.color("surface"))
    _paint(painter, size, canvas, lanes)
    painter.end()
    return bytes(buffer.data().data())


def _paint(painter: QPainter, size: QSize, canvas: PlotCanvas, lanes: Sequence[Series]) -> None:
    painter.setFont(theme.ui_font())
    metrics = painter.fontMetrics()
    width = (size.width() - 16) // max(1, len(lanes))
    for number, lane in enumerate(lanes):
        left = 8 + number * width
        pen = theme.lane_pen(lane.index)
        pen.setWidth(2)
        painter.setPen(pen)
        painter.drawLine(left, _HEAD // 2, left + 28, _HEAD // 2)
        painter.setPen(theme.color("text"))
        name = metrics.elidedText(lane.name, Qt.TextElideMode.ElideMiddle, width - 44)
        painter.drawText(
            QRect(left + 36, 0, width - 44, _HEAD), int(Qt.AlignmentFlag.AlignVCenter), name
        )
    target = QRectF(0, _HEAD, size.width(), size.height() - _HEAD)
    canvas.plot.render(painter, target, canvas.plot.viewport().rect())
