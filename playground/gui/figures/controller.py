"""Shows the lanes' latencies in the plot and in the table, and marks those not to compare."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from playground.gui.figures.plot import LatencyPlot
from playground.gui.figures.table import FiguresTable
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter

EARLIER, DISTURBED = "earlier run", "disturbed"


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
        self._marked = 0  # the latest run when the lanes were marked
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
        presenter.lane.state_changed.connect(self._mark)
        presenter.inspector.pointed.connect(self._read)
        self._plot.tokens.reading.connect(presenter.inspector.mark)

    @Slot(int)
    def _read(self, number: int) -> None:
        """Show in the plot the token that is pointed at in a text."""
        if number:
            self._plot.tokens.read(number)
        else:
            self._plot.tokens.forget()

    @Slot(object)
    def _show(self, presenter: LanePresenter) -> None:
        """Show a lane's name and figures; what it generated with another model is not shown."""
        if presenter not in self._lanes.presenters:
            return  # a last change of a lane that was removed
        index = self._lanes.presenters.index(presenter)
        remark = self._remark(presenter)
        # The remark comes first: where there is little room, the middle of the name is left out.
        name = f"{remark}: {presenter.name}" if remark else presenter.name
        self._plot.set_lane(index, name)
        generation = presenter.generation
        if generation is None:
            self._plot.clear_lane(index)
        else:
            self._plot.update_lane(
                index, generation.trace, generation.floor, generation.prompt_tokens
            )
            if generation.ended:
                self._plot.finish_lane(index)
        self._table.set_row(index, name, *presenter.figures(), remarkable=bool(remark))

    @Slot()
    def _mark(self) -> None:
        """Mark the other lanes anew where a run has reached one of them."""
        latest = self._latest_run()
        if latest != self._marked:
            self._marked = latest
            self._show_all(self._lanes.presenters)

    def _latest_run(self) -> int:
        return max((p.run for p in self._lanes.presenters if p.generation), default=0)

    def _remark(self, presenter: LanePresenter) -> str:
        """Return why a lane's figures are not to be compared with the others', "" where they are.

        They belong to an earlier run than others that are shown, or something disturbed them.
        """
        generation = presenter.generation
        if generation is None:
            return ""
        if presenter.run < self._latest_run():
            return EARLIER
        return DISTURBED if generation.disturbances else ""
