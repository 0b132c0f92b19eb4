"""Keeps every run of the window as it happens; the file is written on a thread of its own."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal, Slot

from playground.core.errors import PlaygroundError
from playground.core.facts import Answer
from playground.core.lane import Failure
from playground.core.protocol import Tokens
from playground.core.run_plan import GenerateStep
from playground.gui.context import AppContext
from playground.gui.lanes.lane import LaneController
from playground.gui.lanes.run import RunController, RunResult
from playground.history.recorder import RunRecorder
from playground.history.records import RunRequest, RunState
from playground.history.writer import HistoryWriter

MB = 1_000_000


class HistoryRecorder(QObject):
    """Owns the window's HistoryWriter, and a RunRecorder for the run that goes on."""

    changed = Signal()  # a run has begun or ended
    interrupted = Signal(object)  # at the start: the number of a run that was cut off
    _failed = Signal(object)  # a DatabaseError; here and below from the writer's thread
    _found = Signal(object)

    def __init__(
        self,
        context: AppContext,
        writer: HistoryWriter,
        *,
        keep: bool = True,
        parent: QObject | None = None,
    ) -> None:
        """Without `keep` no run is kept, whatever the settings say."""
        super().__init__(parent)
        self.writer = writer
        self.private = False  # while on, no run is kept
        self._keep = keep
        self._settings = context.settings
        self._notify = context.notify
        self._run: RunRecorder | None = None
        self._controller: RunController | None = None  # of that run
        self._lanes: dict[LaneController, _KeptLane] = {}
        self._failed.connect(self._say)
        self._found.connect(self._offer)
        writer.failed = self._failed.emit

    @Slot(object, object, object)
    def begin(
        self, request: RunRequest, lanes: Sequence[LaneController], controller: RunController
    ) -> None:
        """Keep the run that a controller is about to begin, unless runs are not kept."""
        values = self._settings.values
        if self.private or not (self._keep and values.keep_history):
            return
        self.end(RunState.STOPPED)
        self.writer.limit_bytes = values.history_limit_mb * MB
        self._run = RunRecorder(self.writer, request)
        self._lanes = {
            lane: _KeptLane(self._run, position, lane, self) for position, lane in enumerate(lanes)
        }
        self._controller = controller
        controller.sent.connect(self._sent)
        controller.finished.connect(self._finished)
        self.changed.emit()

    @Slot(bool)
    def set_private(self, on: bool) -> None:
        """Keep no run that begins while this is on."""
        self.private = on

    def look_for_interrupted(self) -> None:
        """Emit `interrupted` if the last window was ended in a run; each run is offered once."""
        if self.writer.path.exists():
            self.writer.take_interrupted(self._found.emit)

    def end(self, state: RunState) -> None:
        """End the run that is being kept, if there is one."""
        if self._run is None or self._controller is None:
            return
        self._run.ended(state)
        self._controller.sent.disconnect(self._sent)
        self._controller.finished.disconnect(self._finished)
        for kept in self._lanes.values():
            kept.deleteLater()
        self._run, self._controller, self._lanes = None, None, {}
        self.changed.emit()

    @Slot()
    def close(self) -> bool:
        """End the run and write everything that is left; return whether that worked in time."""
        self.end(RunState.STOPPED)
        return self.writer.close()

    @Slot(object, object)
    def _sent(self, step: GenerateStep[LaneController], lane: LaneController) -> None:
        if kept := self._lanes.get(lane):
            kept.sent(step.repeat)

    @Slot(object)
    def _finished(self, result: RunResult) -> None:
        self.end(RunState.STOPPED if result.stopped else RunState.FINISHED)

    @Slot(object)
    def _say(self, error: PlaygroundError) -> None:
        self._notify.warning(error)

    @Slot(object)
    def _offer(self, run: int | None) -> None:
        if run is not None:
            self.interrupted.emit(run)


class _KeptLane(QObject):
    """Keeps what one lane does in one run."""

    def __init__(
        self, run: RunRecorder, position: int, lane: LaneController, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._run = run
        self._position = position
        self._lane = lane
        self._failure: Failure | None = lane.state.failure  # the last one that was kept
        lane.tokens_arrived.connect(self._streamed)
        lane.answered.connect(self._answered)
        lane.broken.connect(self._broken)
        lane.state_changed.connect(self._look)

    def sent(self, repeat: int) -> None:
        """The lane was sent its prompt."""
        if (generation := self._lane.generation) is not None:
            self._run.sent(self._position, repeat, generation.prompt)

    @Slot(object)
    def _streamed(self, batches: list[Tokens]) -> None:
        self._run.streamed(self._position, batches)

    @Slot(object)
    def _answered(self, answer: Answer) -> None:
        generation = self._lane.generation
        floor = None if generation is None else generation.floor
        self._run.answered(self._position, answer, floor)

    @Slot(object)
    def _broken(self, failure: Failure) -> None:
        self._run.broke_off(self._position, failure.message)

    @Slot()
    def _look(self) -> None:
        """Keep why the lane cannot answer, once for each failure."""
        failure = self._lane.state.failure
        if failure is not None and failure is not self._failure:
            self._run.broke_off(self._position, f"{failure.message} {failure.remedy}".strip())
        self._failure = failure
