"""The live plot of every lane's latencies: over the token number, or as a distribution."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QIcon, QPainter, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from playground.core.errors import PlaygroundError
from playground.core.floor import Floor
from playground.core.trace import LatencyTrace
from playground.gui.figures import export
from playground.gui.figures.distribution_view import DistributionView
from playground.gui.figures.plot_data import Series
from playground.gui.figures.token_view import TokenView
from playground.gui.toolkit import theme
from playground.gui.toolkit.elided import ElidedButton
from playground.gui.toolkit.segments import Segments
from playground.gui.toolkit.widgets import ThemedToolButton, tool_button

VIEWS = ("over tokens", "distribution")
_EMPTY = "Run a prompt (Ctrl+Enter) to see the latency of every token here as it is generated."


class LatencyPlot(QFrame):
    """Call `set_lane` for each lane, `update_lane` while it runs, `finish_lane` at its end."""

    export_failed = Signal(object)  # a PlaygroundError

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card")
        self.setAccessibleName("Latency plot")
        self._lanes: dict[int, Series] = {}
        self._drawn = False
        self._pending = QTimer(self, singleShot=True, interval=0)
        self._pending.timeout.connect(self._draw_now)
        self._chips: dict[int, _Chip] = {}
        self.tokens = TokenView()
        self.distribution = DistributionView()
        for view in (self.tokens, self.distribution):
            view.canvas.reset.connect(self.follow)
        self._stack = _Stack(_EMPTY)
        self._stack.addWidget(self.tokens)
        self._stack.addWidget(self.distribution)

        self.views = Segments(
            "View of the latencies",
            (
                ("over tokens", "Over tokens", "Inter-token latency over the token number"),
                ("distribution", "Distribution", "How often each latency occurred"),
            ),
        )
        self.views.chosen.connect(self._show_view)
        self.cumulative = _toggle("cumulative", "Cumulative", "Share of tokens up to each latency")
        self.cumulative.toggled.connect(self.distribution.set_cumulative)
        self.floor = _toggle(
            "floor", "Floor", "The memory-bandwidth bound of each token: bytes read ÷ bandwidth"
        )
        self.floor.setChecked(True)
        self.floor.toggled.connect(self.tokens.set_floors)
        self.log = _toggle("log", "Logarithmic", "Logarithmic scale, for lanes that differ much")
        self.log.toggled.connect(self._set_log)
        self.fit_button = tool_button(
            "fit", "Show everything", "Show everything, and follow the running lanes again (0)"
        )
        self.fit_button.clicked.connect(self.follow)
        self.export_button = tool_button("export", "Export the plot", "Save as PNG, SVG or CSV")
        self.export_button.clicked.connect(self.ask_export)

        self._chip_row = QHBoxLayout()
        self._chip_row.setSpacing(4)
        self._chip_row.addStretch(1)
        head = QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(self.views)
        head.addSpacing(8)
        head.addLayout(self._chip_row, 1)
        for button in (self.cumulative, self.floor, self.log, self.fit_button, self.export_button):
            head.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self._stack, 1)
        self._show_view()

    # Lanes

    def set_lane(self, index: int, name: str) -> None:
        """Name a lane; a new one is drawn from its first update on."""
        lane = self._lanes.get(index)
        if lane is None:
            lane = self._lanes[index] = Series(index, name)
            self._lanes = dict(sorted(self._lanes.items()))
            chip = self._chips[index] = _Chip(index)
            chip.toggled.connect(self._chip_toggled)
            self._chip_row.insertWidget(list(self._lanes).index(index), chip)
            previous: QWidget = self.views.button(VIEWS[-1])
            for number in self._lanes:
                self.setTabOrder(previous, self._chips[number])
                previous = self._chips[number]
        lane.name = name
        self._chips[index].set_name(name)

    def remove_lane(self, index: int) -> None:
        if self._lanes.pop(index, None) is not None:
            chip = self._chips.pop(index)
            self._chip_row.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
            self._draw()

    def update_lane(
        self, index: int, trace: LatencyTrace, floor: Floor | None = None, prompt_tokens: int = 0
    ) -> None:
        """Show the trace as it is now. Meant to be called 5 to 10 times a second."""
        if index not in self._lanes:
            self.set_lane(index, f"Lane {index + 1}")
        lane = self._lanes[index]
        lane.finished = False
        lane.floor, lane.prompt_tokens = floor, prompt_tokens
        lane.update(trace)
        self._draw()

    def finish_lane(self, index: int) -> None:
        """Compute a lane's final percentiles and stop following it."""
        lane = self._lanes.get(index)
        if lane is not None:
            lane.finished = True
            lane.count_percentiles()
            self._draw()

    def clear_lane(self, index: int) -> None:
        """Remove a lane's line and keep its name."""
        lane = self._lanes.get(index)
        if lane is not None:
            lane.finished = True
            lane.update(LatencyTrace())
            self._draw()

    # View

    def view(self) -> str:
        """Return the view that is shown, one of VIEWS."""
        return self.views.value()

    def set_view(self, view: str) -> None:
        self.views.set_value(view)
        self._show_view()

    def follow(self) -> None:
        """Show everything again instead of a range that the user chose."""
        self.tokens.follow()
        self.distribution.follow()

    def focus_plot(self) -> None:
        """Give the plot the keyboard focus, so that the arrow keys read values."""
        current = self.tokens if self.view() == VIEWS[0] else self.distribution
        current.canvas.plot.setFocus(Qt.FocusReason.ShortcutFocusReason)

    # Export

    def export(self, path: str | Path) -> None:
        """Save the visible plot (.png, .svg), or every token of every lane (.csv).

        Raises PlaygroundError where the file cannot be written or has another suffix.
        """
        self._draw_now()
        lanes = [lane for lane in self._lanes.values() if lane.shown and lane.count]
        current = self.tokens if self.view() == VIEWS[0] else self.distribution
        export.export(Path(path), current.canvas, lanes)

    def ask_export(self) -> None:
        """Open a dialog that saves the plot; returns at once."""
        dialog = QFileDialog(self, "Export the plot")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters(export.FILTERS)
        dialog.setDefaultSuffix("png")
        dialog.selectFile("latency")
        dialog.filterSelected.connect(partial(self._format_chosen, dialog))
        dialog.fileSelected.connect(self._file_chosen)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    # Internals

    def _format_chosen(self, dialog: QFileDialog, name_filter: str) -> None:
        dialog.setDefaultSuffix(export.suffix_of(name_filter))

    def _file_chosen(self, name: str) -> None:
        try:
            self.export(name)
        except PlaygroundError as error:
            self.export_failed.emit(error)

    def _draw(self) -> None:
        """Draw once in this turn of the event loop, however many lanes have changed."""
        if not self._pending.isActive():
            self._pending.start()

    def _draw_now(self) -> None:
        self._pending.stop()
        empty = not any(lane.count for lane in self._lanes.values())
        if empty == self._stack.hint.isHidden() or not self._drawn:
            self._drawn = True
            self._stack.hint.setVisible(empty)
            for view in (self.tokens, self.distribution):
                view.canvas.set_empty(empty)
        if self.view() == VIEWS[0]:
            self.tokens.draw(self._lanes)
        else:
            self.distribution.draw(self._lanes)

    def _show_view(self) -> None:
        over_tokens = self.view() == VIEWS[0]
        self._stack.setCurrentWidget(self.tokens if over_tokens else self.distribution)
        self.cumulative.setVisible(not over_tokens)
        self.floor.setVisible(over_tokens)
        self._stack.hint.raise_()
        self._draw_now()
        if not over_tokens:
            self.distribution.draw(self._lanes, force=True)

    def _set_log(self, on: bool) -> None:
        self.tokens.set_log(on)
        self.distribution.set_log(on)

    def _chip_toggled(self) -> None:
        for index, chip in self._chips.items():
            self._lanes[index].shown = chip.isChecked()
        self._show_view()


class _Stack(QStackedWidget):
    """A stack with a hint over the middle of the page shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.hint = QLabel(text, self)
        self.hint.setTextFormat(Qt.TextFormat.PlainText)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setWordWrap(True)
        self.hint.setProperty("tone", "muted")
        self.hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.hint.setGeometry(self.rect().adjusted(64, 8, -24, -40))


class _Chip(ElidedButton):
    """A lane's name beside a sample of its line; shows or hides the lane's line."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self._index = index
        self.setCheckable(True)
        self.setChecked(True)
        self.setProperty("kind", "chip")
        self.setIconSize(QSize(24, 12))
        self.reserve(48)
        # As wide as its name, or narrower where all names together do not fit.
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        theme.theme_changed.connect(self._tint)
        self.toggled.connect(self._tint)
        self._tint()

    def minimumSizeHint(self) -> QSize:
        return QSize(32, super().minimumSizeHint().height())  # the sample, in the smallest window

    def set_name(self, name: str) -> None:
        if name == self.full_text():
            return
        self.set_full_text(name)
        self.updateGeometry()
        self.setToolTip(f"{name}\nShow or hide this lane's line")
        self.setAccessibleName(f"Line of lane {self._index + 1}: {name}")

    def _tint(self) -> None:
        ratio = self.devicePixelRatioF()
        image = QPixmap(round(24 * ratio), round(12 * ratio))
        image.setDevicePixelRatio(ratio)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        pen = theme.lane_pen(self._index, 255 if self.isChecked() else 90)
        pen.setWidth(2)
        painter.setPen(pen)
        painter.drawLine(0, 6, 24, 6)
        painter.end()
        self.setIcon(QIcon(image))


def _toggle(icon: str, name: str, tip: str) -> ThemedToolButton:
    button = tool_button(icon, name, tip)
    button.setCheckable(True)
    return button
