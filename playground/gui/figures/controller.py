"""Brings the lanes' latencies to the plot and the table."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from playground.core.lane import Stage
from playground.gui.figures.plot import LatencyPlot
from playground.gui.figures.table import FiguresTable
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.presenter import LanePresenter


class FiguresController(QObject):
    """Rows and curves follow the lanes' places; figures come from the lanes' traces."""

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
        lanes.streamed.connect(self._streamed)
        lanes.arranged.connect(self.rebuild)
        lanes.added.connect(self._watch)

    @Slot()
    def rebuild(self) -> None:
        """Draw all lanes anew: their places or names have changed."""
        presenters = self._lanes.presenters
        for index in range(len(presenters), self._shown):
            self._plot.remove_lane(index)
            self._table.remove_row(index)
        self._shown = len(presenters)
        for index, presenter in enumerate(presenters):
            self._plot.set_lane(index, presenter.name)
            self._show(index, presenter, finished=not _generating(presenter))

    @Slot()
    def rename(self) -> None:
        """A lane may run something else now: another model's figures are not its own."""
        for index, presenter in enumerate(self._lanes.presenters):
            self._plot.set_lane(index, presenter.name)
            if presenter.generation is None:
                self._plot.clear_lane(index)
            self._table.set_row(index, presenter.name, *presenter.figures())

    @Slot(object)
    def _watch(self, presenter: LanePresenter) -> None:
        presenter.answer_changed.connect(self._answer_changed)

    @Slot(object)
    def _streamed(self, presenters: list[LanePresenter]) -> None:
        for presenter in presenters:
            if presenter in self._lanes.presenters:
                # Its last tokens may be told of after its end.
                index = self._lanes.presenters.index(presenter)
                self._show(index, presenter, finished=not _generating(presenter))

    @Slot()
    def _answer_changed(self) -> None:
        presenter = self.sender()
        if isinstance(presenter, LanePresenter) and presenter in self._lanes.presenters:
            self._show(self._lanes.presenters.index(presenter), presenter, finished=True)

    def _show(self, index: int, presenter: LanePresenter, *, finished: bool) -> None:
        generation = presenter.generation
        if generation is None:
            self._plot.clear_lane(index)
        else:
            self._plot.update_lane(
                index, generation.trace, generation.floor, generation.prompt_tokens
            )
            if finished:
                self._plot.finish_lane(index)
        self._table.set_row(index, presenter.name, *presenter.figures())


def _generating(presenter: LanePresenter) -> bool:
    return presenter.lane.state.stage is Stage.GENERATING
