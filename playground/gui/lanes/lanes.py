"""The window's one to four lanes: added, removed, moved, enlarged, and kept moving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from playground.core.facts import EngineFacts
from playground.core.lane import LaneConfig, Stage
from playground.core.memory.headroom import free_bytes
from playground.core.precision import Precision
from playground.core.settings import MAX_LANES
from playground.gui.engines.engine_slot import EngineFactory
from playground.gui.engines.standby import StandbyEngines
from playground.gui.lanes.area import LanesArea
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.lane_view import LaneView
from playground.gui.lanes.preparation import Prepare
from playground.gui.lanes.presenter import LanePresenter
from playground.gui.toolkit.background import Background

#: Text reaches the views this often; figures and curves every FIGURES_EVERY ticks of it.
TICK_MS = 33
FIGURES_EVERY = 5
_CLOCK_EVERY = 3
_SUGGESTED = (
    Precision.BF16,
    Precision.INT8,
    Precision.INT8_WEIGHT_ONLY,
    Precision.GPTQ,
    Precision.NF4,
    Precision.FP16,
    Precision.FP32,
)


class LanesController(QObject):
    """Owns the lanes, and the one timer that drains their tokens."""

    added = Signal(object)  # a LanePresenter
    removed = Signal(object)  # a LanePresenter, its engine being ended
    arranged = Signal()  # lanes came, went or moved
    streamed = Signal(object)  # the LanePresenters with new tokens, at 6 Hz
    message = Signal(str, str, str)  # text, level, remedy

    def __init__(
        self,
        area: LanesArea,
        background: Background,
        make_engine: EngineFactory,
        standby: StandbyEngines,
        prepare: Prepare,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._standby = standby
        self.presenters: list[LanePresenter] = []
        self._area = area
        self._background = background
        self._make_engine = make_engine
        self._prepare = prepare
        self._made: list[LaneController] = []  # every lane whose engine may still run
        self._leaving: list[LaneController] = []
        self._fresh: set[LanePresenter] = set()
        self._ticks = 0
        self._timer = QTimer(self, interval=TICK_MS)
        self._timer.timeout.connect(self._tick)

    # What there is

    @property
    def lanes(self) -> list[LaneController]:
        """The lanes from left to right."""
        return [presenter.lane for presenter in self.presenters]

    @property
    def current(self) -> LanePresenter | None:
        """The lane that has the focus, the enlarged one or the first."""
        view = self._area.current()
        return next((p for p in self.presenters if p.view is view), None)

    def presenter_of(self, lane: LaneController) -> LanePresenter | None:
        return next((p for p in self.presenters if p.lane is lane), None)

    # Wishes

    def add(self, config: LaneConfig | None = None, index: int | None = None) -> None:
        """Add a lane; without a configuration, one that is not there yet."""
        if len(self.presenters) >= MAX_LANES:
            self.message.emit(f"There are {MAX_LANES} lanes already.", "info", "Remove one first.")
            return
        lane = self.make_lane(config or self._another())
        view = LaneView()
        presenter = LanePresenter(lane, view, self)
        place = len(self.presenters) if index is None else index
        self.presenters.insert(place, presenter)
        self._area.insert(place, view)
        lane.state_changed.connect(self._wake)
        view.duplicateRequested.connect(self._duplicate_sender)
        view.removeRequested.connect(self._remove_sender)
        view.moveRequested.connect(self._move_sender)
        view.enlargeRequested.connect(self._enlarge_sender)
        self._renumber()
        self.added.emit(presenter)
        self.arranged.emit()

    def make_lane(self, config: LaneConfig) -> LaneController:
        """Make a lane that is not shown; `end_lane` when it is not needed any more."""
        lane = LaneController(
            config,
            self._background,
            self._make_engine,
            self._prepare,
            self._free,
            self._standby.take,
            self,
        )
        self._made.append(lane)
        for signal in (lane.state_changed, lane.config_changed, lane.facts_arrived, lane.gone):
            signal.connect(self._tell_standby)
        return lane

    def end_lane(self, lane: LaneController) -> None:
        """End the engine of a lane that is not shown (any more); returns at once."""
        lane.gone.connect(self._sweep)
        lane.shut_down()
        self._leaving.append(lane)
        self._sweep()

    def duplicate(self, presenter: LanePresenter) -> None:
        self.add(presenter.lane.config, self.presenters.index(presenter) + 1)

    def remove(self, presenter: LanePresenter) -> None:
        """Take a lane away and end its engine; the last one stays."""
        if len(self.presenters) == 1:
            self.message.emit("The last lane stays.", "info", "Choose another model for it.")
            return
        self.presenters.remove(presenter)
        self._fresh.discard(presenter)
        self._area.remove(presenter.view)
        self._renumber()
        self.removed.emit(presenter)
        self.end_lane(presenter.lane)
        self.arranged.emit()
        presenter.view.deleteLater()
        presenter.deleteLater()

    def move(self, presenter: LanePresenter, step: int) -> None:
        """Move a lane to the left (-1) or right (+1)."""
        old = self.presenters.index(presenter)
        new = old + step
        if not 0 <= new < len(self.presenters):
            return
        self.presenters.insert(new, self.presenters.pop(old))
        self._area.move(presenter.view, new)
        self._renumber()
        self.arranged.emit()

    def enlarge(self, presenter: LanePresenter) -> None:
        """Show one lane alone, or all again where it is alone already."""
        alone = self._area.enlarged() is presenter.view
        self._area.enlarge(None if alone else presenter.view)

    # The same for the lane that is current, and without one for nobody

    @Slot()
    def add_lane(self) -> None:
        self.add()

    @Slot()
    def duplicate_current(self) -> None:
        if presenter := self.current:
            self.duplicate(presenter)

    @Slot()
    def remove_current(self) -> None:
        if presenter := self.current:
            self.remove(presenter)

    @Slot()
    def enlarge_current(self) -> None:
        if presenter := self.current:
            self.enlarge(presenter)

    @Slot()
    def move_current_left(self) -> None:
        if presenter := self.current:
            self.move(presenter, -1)

    @Slot()
    def move_current_right(self) -> None:
        if presenter := self.current:
            self.move(presenter, 1)

    def configure(self, configs: Sequence[LaneConfig]) -> None:
        """Set up the lanes at the start."""
        for config in configs:
            self.add(config)

    # The end

    def shut_down(self) -> None:
        """End every engine now; returns at once."""
        self._timer.stop()
        self._standby.shut_down()
        for lane in self._made:
            lane.shut_down()

    def wait(self, timeout_ms: int) -> bool:
        """After `shut_down`: block until every engine is gone."""
        gone = [lane.wait(timeout_ms) for lane in self._made]
        return self._standby.wait(timeout_ms) and all(gone)

    # Inside

    @Slot()
    def _wake(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    @Slot()
    def _tick(self) -> None:
        self._ticks += 1
        for presenter in self.presenters:
            if presenter.lane.drain():
                self._fresh.add(presenter)
        if self._ticks % _CLOCK_EVERY == 0:
            for presenter in self.presenters:
                if presenter.lane.state.busy:
                    presenter.show_state()
        if self._ticks % FIGURES_EVERY == 0:
            fresh = [p for p in self.presenters if p in self._fresh]
            self._fresh.clear()
            if fresh:
                self.streamed.emit(fresh)
            if not any(lane.state.busy for lane in self.lanes):
                self._timer.stop()

    def _free(self, device: str, engine: EngineFacts | None) -> int | None:
        """Memory free on a device, less what the loads under way are going to take."""
        free = free_bytes(device, engine)
        if free is None:
            return None
        loading = (lane for lane in self._made if lane not in self._leaving)
        return free - sum(lane.claimed_bytes(device) for lane in loading)

    def _another(self) -> LaneConfig:
        """The current lane's model at the first precision that no lane runs yet."""
        current = self.current
        base = current.lane.config if current else LaneConfig()
        taken = {lane.config for lane in self.lanes}
        for precision in _SUGGESTED:
            if current is not None and current.reasons.get(precision):
                continue
            config = replace(base, precision=precision)
            if config not in taken:
                return config
        return base

    def _renumber(self) -> None:
        count = len(self.presenters)
        for index, presenter in enumerate(self.presenters):
            presenter.view.set_index(index)
            presenter.view.set_neighbours(index > 0, index < count - 1, count > 1)

    def _sender(self) -> LanePresenter | None:
        view = self.sender()
        return next((p for p in self.presenters if p.view is view), None)

    @Slot()
    def _tell_standby(self) -> None:
        """Standby engines are started while all lanes rest, in the environments that are in use."""
        lanes = [lane for lane in self._made if lane not in self._leaving]
        self._standby.look(
            (lane.config.environment for lane in self.lanes),
            busy=any(lane.state.busy or lane.warming for lane in lanes),
            generating=any(lane.state.stage is Stage.GENERATING for lane in lanes),
        )

    @Slot()
    def _sweep(self) -> None:
        for lane in [lane for lane in self._leaving if not lane.running]:
            self._leaving.remove(lane)
            self._made.remove(lane)
            lane.deleteLater()

    @Slot()
    def _duplicate_sender(self) -> None:
        if presenter := self._sender():
            self.duplicate(presenter)

    @Slot()
    def _remove_sender(self) -> None:
        if presenter := self._sender():
            self.remove(presenter)

    @Slot(int)
    def _move_sender(self, step: int) -> None:
        if presenter := self._sender():
            self.move(presenter, step)

    @Slot()
    def _enlarge_sender(self) -> None:
        if presenter := self._sender():
            self.enlarge(presenter)
