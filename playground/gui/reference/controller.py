"""Measures the founding comparison: a repeated run over a lane each of bf16, int8 and GPTQ."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal, Slot

from playground.core import founding
from playground.core.facts import Answer
from playground.core.lane import LaneConfig, Stage
from playground.core.precision import Precision
from playground.core.run_plan import GenerateStep, repeated_run
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.lanes import LanesController
from playground.gui.lanes.run import RunController, RunResult
from playground.history.records import RunRequest


class FoundingController(QObject):
    """Uses the window's lanes where one has the right model and precision, else hidden ones."""

    #: A measurement begins: its RunRequest, its lanes, and its RunController.
    requested = Signal(object, object, object)
    progressed = Signal(int, int, str)  # generations done, all of them, what goes on
    measured = Signal()  # `answers` grew
    finished = Signal(str)  # "" when all was measured, else why not all

    def __init__(self, lanes: LanesController, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.answers: dict[Precision, list[Answer]] = {}
        self._window_lanes = lanes
        self._lanes: list[LaneController] = []
        self._hidden: list[LaneController] = []
        self._done = self._total = 0
        self._run = RunController(self)
        self._run.stepped.connect(self._on_step)
        self._run.answered.connect(self._on_answer)
        self._run.finished.connect(self._on_finished)

    @property
    def running(self) -> bool:
        return self._run.running

    def start(self, base: LaneConfig, repeats: int) -> None:
        """Measure the model and device of `base`, every precision `repeats` times."""
        if self.running:
            return
        self.answers = {precision: [] for precision in founding.PRECISIONS}
        self._lanes = [self._lane(replace(base, precision=p)) for p in founding.PRECISIONS]
        self._done, self._total = 0, (repeats + 1) * len(self._lanes)
        self.progressed.emit(0, self._total, "loading the models")
        plan = repeated_run(self._lanes, founding.PROMPT, founding.OPTIONS, repeats)
        request = RunRequest(
            typed=founding.PROMPT.text,
            lanes=tuple(lane.config for lane in self._lanes),
            options=founding.OPTIONS,
            repeats=repeats,
        )
        self.requested.emit(request, self._lanes, self._run)
        self._run.start(self._lanes, plan)

    def cancel(self) -> None:
        """Stop; what was measured stays."""
        self._run.stop()

    def release(self) -> None:
        """End the lanes that were made for the comparison."""
        for lane in self._hidden:
            self._run.discard(lane)
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
    def _on_step(self, step: GenerateStep[LaneController]) -> None:
        self._done = step.number
        what = f"repeat {step.repeat + 1}" if step.counted else "warming up"
        (lane,) = step.lanes
        self.progressed.emit(self._done, self._total, f"{what} · {lane.config.precision.label}")

    @Slot(object, object, object)
    def _on_answer(
        self, step: GenerateStep[LaneController], lane: LaneController, answer: Answer
    ) -> None:
        if step.counted and answer.stop_reason != "cancelled":
            self.answers[lane.config.precision].append(answer)
            self.measured.emit()

    @Slot(object)
    def _on_finished(self, result: RunResult) -> None:
        why = "Cancelled." if result.stopped else self._missing()
        if not result.stopped:
            self._done = self._total
        self._lanes = []
        self.progressed.emit(self._done, self._total, "")
        self.finished.emit(why)

    def _missing(self) -> str:
        """Return why precisions were not measured, in a sentence or two for each."""
        reasons = []
        for lane in self._lanes:
            precision, failure = lane.config.precision, lane.state.failure
            if not self.answers[precision]:
                why = f"{failure.message} {failure.remedy}" if failure else "it did not answer."
                reasons.append(f"{precision.label} is missing: {why}".strip())
        return " ".join(reasons)
