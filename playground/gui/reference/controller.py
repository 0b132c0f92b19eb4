"""Measures the founding comparison over three lanes, in alternating order after a warm-up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from PySide6.QtCore import QObject, Signal, Slot

from playground.core import founding
from playground.core.comparison import alternating
from playground.core.facts import Answer
from playground.core.lane import LaneConfig, Stage
from playground.core.precision import Precision
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.lanes import LanesController

_LOADING = (Stage.STARTING, Stage.LOADING, Stage.UNLOADING)


class FoundingController(QObject):
    """Uses the window's lanes where one has the right model and precision, else hidden ones."""

    progressed = Signal(int, int, str)  # steps done, steps in all, what goes on
    measured = Signal()  # `answers` grew
    finished = Signal(str)  # "" when all was measured, else why not all

    def __init__(self, lanes: LanesController, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.answers: dict[Precision, list[Answer]] = {}
        self._window_lanes = lanes
        self._lanes: dict[Precision, LaneController] = {}
        self._hidden: list[LaneController] = []
        self._steps: Iterator[tuple[int, Precision]] = iter(())
        self._current: tuple[int, Precision] | None = None
        self._done = self._total = 0
        self._loading = self._running = self._advancing = False

    @property
    def running(self) -> bool:
        return self._running

    def start(self, base: LaneConfig, repeats: int) -> None:
        """Measure the model and device of `base`, every precision `repeats` times."""
        if self._running:
            return
        self.answers = {precision: [] for precision in founding.PRECISIONS}
        self._lanes = {p: self._lane(replace(base, precision=p)) for p in founding.PRECISIONS}
        # Repeat -1 is the warm-up, which is not counted.
        steps = alternating(founding.PRECISIONS, repeats + 1)
        self._steps = ((repeat - 1, precision) for repeat, precision in steps)
        self._done, self._total = 0, (repeats + 1) * len(founding.PRECISIONS)
        self._current = None
        self._loading = self._running = True
        for lane in self._lanes.values():
            lane.state_changed.connect(self._advance)
            lane.answered.connect(self._note)
            if lane.state.stage in (Stage.EMPTY, Stage.FAILED):
                lane.load()
        self.progressed.emit(0, self._total, "loading the models")
        self._advance()

    def cancel(self) -> None:
        """Stop; what was measured stays."""
        if not self._running:
            return
        for lane in self._lanes.values():
            lane.cancel()
        self._finish("Cancelled.")

    def release(self) -> None:
        """End the lanes that were made for the comparison."""
        for lane in self._hidden:
            self._window_lanes.end_lane(lane)
        self._hidden = []

    def _lane(self, config: LaneConfig) -> LaneController:
        for lane in (*self._window_lanes.lanes, *self._hidden):
            if lane.config == config and lane.state.stage is not Stage.GENERATING:
                return lane
        lane = self._window_lanes.make_lane(config)
        self._hidden.append(lane)
        return lane

    @Slot(object)
    def _note(self, answer: Answer) -> None:
        if self._current is None:
            return
        repeat, precision = self._current
        if repeat >= 0 and answer.stop_reason != "cancelled":
            self.answers[precision].append(answer)
            self.measured.emit()

    @Slot()
    def _advance(self) -> None:
        if self._advancing or not self._running:
            return
        self._advancing = True
        try:
            while self._running and self._step():
                pass
        finally:
            self._advancing = False

    def _step(self) -> bool:
        if self._loading:
            if any(lane.state.stage in _LOADING for lane in self._lanes.values()):
                return False
            self._loading = False
        if self._current is not None:
            if self._lanes[self._current[1]].state.stage is Stage.GENERATING:
                return False
            self._done += 1
        self._current = next(self._steps, None)
        if self._current is None:
            self._finish(self._missing())
            return False
        repeat, precision = self._current
        what = "warming up" if repeat < 0 else f"repeat {repeat + 1}"
        self.progressed.emit(self._done, self._total, f"{what} · {precision.label}")
        lane = self._lanes[precision]
        # A lane that failed is passed over; `_missing` tells why in the end.
        lane.generate(founding.PROMPT, founding.OPTIONS, "in turn")
        return True

    def _missing(self) -> str:
        reasons = []
        for precision, lane in self._lanes.items():
            failure = lane.state.failure
            if not self.answers[precision]:
                why = f"{failure.message} {failure.remedy}" if failure else "it did not answer."
                reasons.append(f"{precision.label} is missing: {why}".strip())
        return " ".join(reasons)

    def _finish(self, why: str) -> None:
        self._running = False
        self._current = None
        for lane in self._lanes.values():
            lane.state_changed.disconnect(self._advance)
            lane.answered.disconnect(self._note)
        self._lanes = {}
        self.progressed.emit(self._done, self._total, "")
        self.finished.emit(why)
