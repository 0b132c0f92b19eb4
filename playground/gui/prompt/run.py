"""Runs one prompt over several lanes: loads them, then lets them answer in turn or together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal, Slot

from playground.core.generation import GenerationOptions, Prompt, Timing
from playground.core.lane import Stage
from playground.gui.lanes.lane import LaneController

_MOVING = (Stage.STARTING, Stage.LOADING, Stage.UNLOADING, Stage.GENERATING)


@dataclass(frozen=True)
class RunResult:
    """How a run ended: lanes that answered, and those that did not and were not stopped."""

    answered: tuple[LaneController, ...]
    failed: tuple[LaneController, ...]
    stopped: bool


class RunController(QObject):
    """One run at a time. Generation begins when no lane of the run is loading any more, so
    that a load beside it does not spoil the times."""

    begun = Signal()
    finished = Signal(object)  # a RunResult; always comes after `begun`
    waits = Signal(object, bool)  # a lane, and whether it waits for its turn in this run

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lanes: list[LaneController] = []
        self._waiting: list[LaneController] = []
        self._current: list[LaneController] = []
        self._answered: list[LaneController] = []
        self._prompt_for: Callable[[LaneController], Prompt] | None = None
        self._options = GenerationOptions()
        self._timing: Timing = "in turn"
        self._loading = False
        self._stopped = False
        self._advancing = False

    @property
    def running(self) -> bool:
        return self._prompt_for is not None

    def start(
        self,
        lanes: Sequence[LaneController],
        prompt_for: Callable[[LaneController], Prompt],
        options: GenerationOptions,
        timing: Timing,
    ) -> None:
        """Run the lanes in the order given; nothing happens while another run is on.

        `prompt_for` is asked once for each lane that can answer, just before it does.
        """
        if self.running or not lanes:
            return
        self._lanes = list(lanes)
        self._current, self._answered = [], []
        self._prompt_for, self._options, self._timing = prompt_for, options, timing
        self._loading, self._stopped = True, False
        self.begun.emit()
        self._let_wait(lanes)
        for lane in self._lanes:
            lane.state_changed.connect(self._advance)
            lane.answered.connect(self._note_answer)
        for lane in self._lanes:
            if lane.state.stage in (Stage.EMPTY, Stage.FAILED, Stage.UNLOADING):
                lane.load()
        self._advance()

    def stop(self) -> None:
        """Stop every lane of the run, in whatever phase it is."""
        if not self.running:
            return
        self._stopped = True
        lanes = list(self._lanes)
        self._let_wait(())
        for lane in lanes:
            lane.cancel()
        self._advance()

    def discard(self, lane: LaneController) -> None:
        """Go on without a lane that is being removed."""
        if lane not in self._lanes:
            return
        self._disconnect(lane)
        self._let_wait([other for other in self._waiting if other is not lane])
        for group in (self._lanes, self._current):
            if lane in group:
                group.remove(lane)
        self._advance()

    @Slot(object)
    def _note_answer(self, _: object) -> None:
        lane = self.sender()
        if isinstance(lane, LaneController) and lane in self._current:
            self._answered.append(lane)

    @Slot()
    def _advance(self) -> None:
        # A lane's change while one is being handled is seen by the loop below.
        if self._advancing or not self.running:
            return
        self._advancing = True
        try:
            while self._step():
                pass
        finally:
            self._advancing = False

    def _step(self) -> bool:
        """Do the next thing that can be done now; False where there is none."""
        if self._loading:
            if any(lane.state.stage in _MOVING for lane in self._waiting):
                return False
            self._loading = False
        self._current = [lane for lane in self._current if lane.state.stage is Stage.GENERATING]
        if self._current:
            return False
        if not self._waiting:
            self._finish()
            return False
        if self._timing == "in turn":
            lane = self._waiting[0]
            if lane.state.stage in _MOVING:
                return False  # its model was changed meanwhile
            self._let_wait(self._waiting[1:])
            self._generate(lane)
            return True
        together = self._waiting
        self._let_wait(())
        for lane in together:
            self._generate(lane)
        return True

    def _let_wait(self, lanes: Sequence[LaneController]) -> None:
        before, self._waiting = self._waiting, list(lanes)
        for lane in dict.fromkeys((*before, *lanes)):
            if (lane in before) != (lane in self._waiting):
                self.waits.emit(lane, lane in self._waiting)

    def _generate(self, lane: LaneController) -> None:
        if not lane.state.can_generate or self._prompt_for is None:
            return
        self._current.append(lane)
        lane.generate(self._prompt_for(lane), self._options, self._timing)

    def _finish(self) -> None:
        lanes, self._lanes = self._lanes, []
        self._prompt_for = None
        for lane in lanes:
            self._disconnect(lane)
        failed = [lane for lane in lanes if lane not in self._answered]
        if self._stopped:
            failed = [lane for lane in failed if lane.state.failure is not None]
        self.finished.emit(RunResult(tuple(self._answered), tuple(failed), self._stopped))

    def _disconnect(self, lane: LaneController) -> None:
        lane.state_changed.disconnect(self._advance)
        lane.answered.disconnect(self._note_answer)
