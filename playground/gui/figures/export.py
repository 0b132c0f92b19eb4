"""Saves the latency plot as a picture or as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator

from playground.core.errors import PlaygroundError
from playground.gui.figures.canvas import PlotCanvas
from playground.gui.figures.plot_data import Series, write_csv
from playground.gui.toolkit import theme

#: What files can be saved, for a file dialog.
FILTERS = "PNG picture (*.png);;SVG drawing (*.svg);;CSV table (*.csv)"
_HEAD = 28  # pixels over the plot for the names of the lanes
_SCALE = 2  # of a PNG, so that it is sharp in print


def export(path: Path, canvas: PlotCanvas, lanes: Sequence[Series]) -> None:
    """Save by the suffix of `path`: .png, .svg or .csv. Raises PlaygroundError on failure."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".csv":
            with path.open("w", encoding="utf-8", newline="") as file:
                write_csv(lanes, file)
        elif suffix == ".png":
            _save_png(path, canvas, lanes)
        elif suffix == ".svg":
            _save_svg(path, canvas, lanes)
        else:
            raise PlaygroundError(
                f"The plot cannot be saved as {suffix or 'a file without a suffix'}.",
                "Choose a name that ends in .png, .svg or .csv.",
            )
    except OSError as error:
        raise PlaygroundError(
            f"The plot could not be saved to {path}: {error.strerror}.",
            "Choose a folder that you can write to.",
            str(error),
        ) from error


def _size(canvas: PlotCanvas) -> QSize:
    plot = canvas.plot.size()
    return QSize(max(plot.width(), 320), max(plot.height(), 160) + _HEAD)


def _save_png(path: Path, canvas: PlotCanvas, lanes: Sequence[Series]) -> None:
    size = _size(canvas)
    image = QImage(size * _SCALE, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(_SCALE)
    image.fill(theme.color("surface"))
    painter = QPainter(image)
    _paint(painter, size, canvas, lanes)
    painter.end()
    if not image.save(str(path), "PNG"):  # type: ignore[call-overload]
        raise OSError(0, "the file cannot be written")


def _save_svg(path: Path, canvas: PlotCanvas, lanes: Sequence[Series]) -> None:
    with path.open("wb"):
        pass  # so that a folder that cannot be written to is an error here
    size = _size(canvas)
    generator = QSvgGenerator()
    generator.setFileName(str(path))
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


def _paint(painter: QPainter, size: QSize, canvas: PlotCanvas, lanes: Sequence[Series]) -> None:
    painter.setFont(theme.ui_font())
    metrics = painter.fontMetrics()
    room = (size.width() - 16) // max(1, len(lanes))
    for number, lane in enumerate(lanes):
        left = 8 + number * room
        pen = theme.lane_pen(lane.index)
        pen.setWidth(2)
        painter.setPen(pen)
        painter.drawLine(left, _HEAD // 2, left + 28, _HEAD // 2)
        painter.setPen(theme.color("text"))
        name = metrics.elidedText(lane.name, Qt.TextElideMode.ElideMiddle, room - 44)
        painter.drawText(
            QRect(left + 36, 0, room - 44, _HEAD), int(Qt.AlignmentFlag.AlignVCenter), name
        )
    target = QRectF(0, _HEAD, size.width(), size.height() - _HEAD)
    canvas.plot.render(painter, target, canvas.plot.viewport().rect())
