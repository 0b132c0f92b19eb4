"""Bars of the verdicts' intervals, which narrow as cases come, beside the tolerated loss."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from playground.evaluation.report.summary import ContestantSummary
from playground.evaluation.verdict import VerdictKind, points
from playground.gui.toolkit import theme

_ROW = 22  # pixels
_NAME = 230
_SHADES = {
    VerdictKind.NO_LOSS: "success",
    VerdictKind.BETTER: "success",
    VerdictKind.LOSS: "danger",
    VerdictKind.UNDECIDED: "muted",
}


class VerdictBars(QWidget):
    """Draws a bar for each contestant but the reference, in points from the reference."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lanes: list[ContestantSummary] = []
        self._margin = 0.05
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Intervals of the differences from the reference")
        theme.theme_changed.connect(self.update)

    def show_summaries(self, summaries: Sequence[ContestantSummary], margin: float) -> None:
        """Show these contestants; `margin` is the tolerated loss, as a share."""
        self._lanes = [one for one in summaries if one.verdict is not None]
        self._margin = margin
        self.setVisible(bool(self._lanes))
        self.setAccessibleDescription(
            "; ".join(f"{one.label}: {one.verdict.text}" for one in self._lanes if one.verdict)
        )
        self.setToolTip(
            f"Left of the dashed line a loss is above {points(margin)} points; each bar is where "
            "the difference from the reference is, with 95 % confidence"
        )
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(400, _ROW * len(self._lanes) + 6)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left, width = float(_NAME), max(1.0, float(self.width() - _NAME - 12))

        def x(share: float) -> float:
            return left + (min(1.0, max(-1.0, share / reach)) + 1) / 2 * width

        ends = [
            abs(end)
            for one in self._lanes
            if one.verdict is not None
            for end in (one.verdict.interval.low, one.verdict.interval.high)
        ]
        reach = min(1.0, max([4 * self._margin, *ends]) * 1.05)
        for place, share in ((x(0.0), 0.0), (x(-self._margin), -self._margin)):
            shade = theme.color("outline" if share == 0 else "danger")
            style = Qt.PenStyle.SolidLine if share == 0 else Qt.PenStyle.DashLine
            painter.setPen(QPen(shade, 1, style))
            painter.drawLine(int(place), 0, int(place), self.height())
        for row, one in enumerate(self._lanes):
            verdict = one.verdict
            if verdict is None:
                continue
            top = row * _ROW + 3
            painter.setPen(theme.color("text"))
            name = painter.fontMetrics().elidedText(
                one.label, Qt.TextElideMode.ElideLeft, _NAME - 12
            )
            box = QRectF(0, top, _NAME - 8, _ROW - 4)
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, name)
            low, high = x(verdict.interval.low), x(verdict.interval.high)
            shade = theme.color(_SHADES[verdict.kind])
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(shade)
            painter.drawRoundedRect(QRectF(low, top + 5, max(2.0, high - low), _ROW - 14), 3, 3)
            if one.paired is not None and one.paired.counts.items:
                middle = x(one.paired.counts.difference)
                painter.setBrush(theme.color("text"))
                painter.drawRect(QRectF(middle - 1, top + 2, 2, _ROW - 8))
        painter.end()
