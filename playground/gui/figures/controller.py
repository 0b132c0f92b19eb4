"""Shows the lanes' latencies in the plot and in the table."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from playground.gui.figures.plot import LatencyPlot
from playground.gui.figures.table import FiguresTable
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter


class FiguresController(QObject):
    """Rows and curves follow the lanes' positions; the figures come from the lanes' traces."""

    def __init__(
        self,
        lanes: LanesController,
        plot: LatencyPlot,
        table: FiguresTable,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._lanes = lanes
        self._plot = plot
        self._table = table
        self._shown = 0
        lanes.streamed.connect(self._show_all)
        lanes.arranged.connect(self._rearrange)
        lanes.added.connect(self._watch)

    @Slot()
    def _rearrange(self) -> None:
        """Draw all lanes again after lanes were added, removed or moved."""
        presenters = self._lanes.presenters
        for index in range(len(presenters), self._shown):
            self._plot.remove_lane(index)
            self._table.remove_row(index)
        self._shown = len(presenters)
        self._show_all(presenters)

    @Slot(object)
    def _show_all(self, presenters: list[LanePresenter]) -> None:
        for presenter in presenters:
            self._show(presenter)

    @Slot(object)
    def _watch(self, presenter: LanePresenter) -> None:
        presenter.changed.connect(self._show)

    @Slot(object)
    def _show(self, presenter: LanePresenter) -> None:
        """Show a lane's name and figures; what it generated with another model is not shown."""
        if presenter not in self._lanes.presenters:
            return  # a last change of a lane that was removed
        index = self._lanes.presenters.index(presenter)
        self._plot.set_lane(index, presenter.name)
        generation = presenter.generation
        if generation is None:
            self._plot.clear_lane(index)
        else:
            self._plot.update_lane(
                index, generation.trace, generation.floor, generation.prompt_tokens
            )
            if generation.ended:
                self._plot.finish_lane(index)
        self._table.set_row(index, presenter.name, *presenter.figures())
