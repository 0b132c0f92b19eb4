"""The window's one to four lanes: added, removed, moved, enlarged, and refreshed by one timer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from playground.core.facts import EngineFacts
from playground.core.lane import LaneConfig, Stage
from playground.core.memory.headroom import free_bytes
from playground.core.precision import Precision
from playground.core.settings import MAX_LANES
from playground.gui.context import AppContext
from playground.gui.engines.engine_slot import EngineFactory
from playground.gui.engines.standby import StandbyEngines
from playground.gui.lanes.area import LanesArea
from playground.gui.lanes.content import LaneContent
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.lane_view import LaneView
from playground.gui.lanes.preparation import Prepare
from playground.gui.lanes.presenter import LanePresenter

#: Milliseconds between ticks. Each tick shows new text; the figures and the clocks follow at
#: every fifth and every third tick.
TICK_MS = 33
FIGURES_EVERY = 5
_CLOCK_EVERY = 3
#: Precisions of a lane that is added, the first of them that no lane has yet.
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
    arranged = Signal()  # lanes were added, removed or moved
    streamed = Signal(object)  # the LanePresenters with new tokens, at 6 Hz

    def __init__(
        self,
        context: AppContext,
        area: LanesArea,
        make_engine: EngineFactory,
        standby: StandbyEngines,
        prepare: Prepare,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.presenters: list[LanePresenter] = []
        self._context = context
        self._area = area
        self._make_engine = make_engine
        self._standby = standby
        self._prepare = prepare
        self._alive: list[LaneController] = []  # every lane whose engine may still run
        self._ending: list[LaneController] = []  # those of them that are being ended
        self._streaming: set[LanePresenter] = set()  # with tokens since the last `streamed`
        self._coloured = False
        self._ticks = 0
        self._beside: list[Callable[[], str]] = []  # other work of the window
        self._timer = QTimer(self, interval=TICK_MS)
        self._timer.timeout.connect(self._tick)

    @property
    def lanes(self) -> list[LaneController]:
        """The lanes from left to right."""
        return [presenter.lane for presenter in self.presenters]

    @property
    def current(self) -> LanePresenter | None:
        """The lane with the focus, else the enlarged, the last focused or the first one."""
        view = self._area.current()
        return next((p for p in self.presenters if p.view is view), None)

    @Slot(bool)
    def set_coloured(self, on: bool) -> None:
        """Shade every lane's text by the probability of its tokens, or not."""
        self._coloured = on
        for presenter in self.presenters:
            presenter.inspector.set_coloured(on)

    def presenter_of(self, lane: LaneController) -> LanePresenter | None:
        """Return the presenter of a lane, None where the lane is not shown."""
        return next((p for p in self.presenters if p.lane is lane), None)

    def add(self, config: LaneConfig | None = None, index: int | None = None) -> None:
        """Add a lane; without a configuration, one with a precision that no lane has yet."""
        if len(self.presenters) >= MAX_LANES:
            self._context.notify.info(f"There are {MAX_LANES} lanes already.", "Remove one first.")
            return
        lane = self.make_lane(config or self._suggested())
        view = LaneView()
        presenter = LanePresenter(lane, view, self)
        if index is None:
            index = len(self.presenters)
        self.presenters.insert(index, presenter)
        self._area.insert(index, view)
        lane.state_changed.connect(self._wake)
        self._renumber()
        presenter.inspector.set_coloured(self._coloured)
        self.added.emit(presenter)
        self.arranged.emit()

    def make_lane(self, config: LaneConfig) -> LaneController:
        """Make a lane that is not shown; give it to `end_lane` when it is no longer needed."""
        lane = LaneController(
            config,
            self._context.background,
            self._make_engine,
            self._prepare,
            self._free,
            self._standby.take,
            self,
        )
        self._alive.append(lane)
        for signal in (lane.state_changed, lane.config_changed, lane.facts_arrived, lane.gone):
            signal.connect(self._update_standby)
        return lane

    def watch_beside(self, work: Callable[[], str]) -> None:
        """Stamp answers with what else the window does; `work` says it as a lane's `work` does."""
        self._beside.append(work)

    def end_lane(self, lane: LaneController) -> None:
        """End the engine of a lane that is not, or no longer, shown; returns at once."""
        lane.gone.connect(self._discard_ended)
        lane.shut_down()
        self._ending.append(lane)
        self._discard_ended()

    def duplicate(self, presenter: LanePresenter) -> None:
        """Add a lane with the same configuration to the right of this one."""
        self.add(presenter.lane.config, self.presenters.index(presenter) + 1)

    def remove(self, presenter: LanePresenter) -> None:
        """Remove a lane and end its engine; the last lane stays."""
        if len(self.presenters) == 1:
            self._context.notify.info(
                "The last lane cannot be removed.", "Choose another model for it."
            )
            return
        self.presenters.remove(presenter)
        self._streaming.discard(presenter)
        self._area.remove(presenter.view)
        self._renumber()
        self.removed.emit(presenter)
        self.end_lane(presenter.lane)
        self.arranged.emit()
        presenter.view.deleteLater()
        presenter.deleteLater()

    def remove_undoably(self, presenter: LanePresenter) -> None:
        """Remove a lane, and offer to bring it back with its texts and figures."""
        if presenter.lane.state.stage is Stage.GENERATING:
            presenter.lane.drain()
        index, config = self.presenters.index(presenter), presenter.lane.config
        name, content = presenter.name, presenter.content()
        self.remove(presenter)
        if presenter not in self.presenters:
            bring_back = partial(self._bring_back, index, config, content)
            self._context.notify.offer(f"The lane {name} was removed.", "Undo", bring_back)

    def _bring_back(self, index: int, config: LaneConfig, content: LaneContent) -> None:
        count = len(self.presenters)
        self.add(config, min(index, count))
        if len(self.presenters) > count:
            self.presenters[min(index, count)].show_content(content)

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
        """Show one lane alone; where it is alone already, show all again."""
        enlarged = self._area.enlarged() is presenter.view
        self._area.enlarge(None if enlarged else presenter.view)

    @Slot()
    def add_lane(self) -> None:
        """Add a lane with a precision that no lane has yet."""
        self.add()

    def configure(self, configs: Sequence[LaneConfig]) -> None:
        """Add the lanes that the window starts with."""
        for config in configs:
            self.add(config)

    def shut_down(self) -> None:
        """End every engine now; `wait` waits for them."""
        self._timer.stop()
        self._standby.shut_down()
        for lane in self._alive:
            lane.shut_down()

    def wait(self, timeout_ms: int) -> bool:
        """After `shut_down`, block until every engine has ended; return whether all have."""
        gone = [lane.wait(timeout_ms) for lane in self._alive]
        return self._standby.wait(timeout_ms) and all(gone)

    # Internals

    @Slot()
    def _wake(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    @Slot()
    def _tick(self) -> None:
        self._ticks += 1
        self._note_disturbances()
        for presenter in self.presenters:
            if presenter.lane.drain():
                self._streaming.add(presenter)
        if self._ticks % _CLOCK_EVERY == 0:
            for presenter in self.presenters:
                if presenter.lane.state.busy:
                    presenter.show_state()
        if self._ticks % FIGURES_EVERY == 0:
            streaming = [p for p in self.presenters if p in self._streaming]
            self._streaming.clear()
            if streaming:
                self.streamed.emit(streaming)
            if not any(lane.state.busy for lane in self.lanes):
                self._timer.stop()

    def _free(self, device: str, engine: EngineFacts | None) -> int | None:
        """Return the bytes free on a device, less what the loads under way will take."""
        free = free_bytes(device, engine)
        if free is None:
            return None
        loading = (lane for lane in self._alive if lane not in self._ending)
        return free - sum(lane.claimed_bytes(device) for lane in loading)

    def _suggested(self) -> LaneConfig:
        """Return the current lane's configuration with the first precision that no lane has."""
        current = self.current
        base = current.lane.config if current else LaneConfig()
        taken = {lane.config for lane in self.lanes}
        for precision in _SUGGESTED:
            if current is not None and current.available.reasons.get(precision):
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

    @Slot()
    def _update_standby(self) -> None:
        """Tell the standby engines what the lanes do, and in which environments."""
        self._note_disturbances()
        lanes = [lane for lane in self._alive if lane not in self._ending]
        self._standby.update(
            (lane.config.engine_environment for lane in self.lanes),
            busy=any(lane.state.busy or lane.warming for lane in lanes),
            generating=any(lane.state.stage is Stage.GENERATING for lane in lanes),
        )

    def _note_disturbances(self) -> None:
        """Note in every running generation what else goes on; called whenever that may change."""
        window = [work() for work in self._beside]
        for lane in self._alive:
            generation = lane.generation
            if generation is None or generation.ended or lane.state.stage is not Stage.GENERATING:
                continue
            # In a run of all lanes together the others' generations are expected.
            expected = Stage.GENERATING if generation.timing == "together" else None
            others = [
                other.work
                for other in self._alive
                if other is not lane and other.state.stage is not expected
            ]
            generation.disturbances |= dict.fromkeys(filter(None, (*window, *others)))

    @Slot()
    def _discard_ended(self) -> None:
        for lane in [lane for lane in self._ending if not lane.running]:
            self._ending.remove(lane)
            self._alive.remove(lane)
            lane.deleteLater()
