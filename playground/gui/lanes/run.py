"""Drives a plan over the window's lanes without blocking: every lane's change takes it further."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal, Slot

from playground.core.facts import Answer
from playground.core.lane import Stage
from playground.core.run_plan import GenerateStep, LoadStep, Plan, Step, next_step
from playground.gui.lanes.generation import Generation
from playground.gui.lanes.lane import LaneController

_WITHOUT_MODEL = (Stage.EMPTY, Stage.FAILED, Stage.UNLOADING)
_BUSY = (Stage.STARTING, Stage.LOADING, Stage.UNLOADING, Stage.GENERATING)


@dataclass(frozen=True)
class RunResult:
    """How a run ended: which lanes answered, and which failed.

    A lane that the user stopped, unloaded or cancelled did neither. `stopped`: the whole run was.
    """

    answered: tuple[LaneController, ...]
    failed: tuple[LaneController, ...]
    stopped: bool


class RunController(QObject):
    """One run at a time."""

    begun = Signal()
    finished = Signal(object)  # a RunResult; always comes after `begun`
    waiting_changed = Signal(object, bool)  # a lane, and whether it waits for its turn in this run
    stepped = Signal(object)  # the GenerateStep that begins
    sent = Signal(object, object)  # a GenerateStep, and a lane that was sent its prompt
    answered = Signal(object, object, object)  # a GenerateStep, its lane, the Answer

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lanes: list[LaneController] = []
        self._waiting: list[LaneController] = []
        self._generations: dict[LaneController, Generation] = {}  # of the present step
        self._answered: dict[LaneController, None] = {}  # in order
        self._work: Iterator[None] | None = None
        self._advancing = False
        self._stopped = False

    @property
    def running(self) -> bool:
        return self._work is not None

    def start(self, lanes: Sequence[LaneController], plan: Plan[LaneController]) -> None:
        """Carry out a plan over these lanes; nothing happens while another run is on."""
        if self.running or not lanes:
            return
        self._lanes, self._answered = list(lanes), {}
        self._stopped = False
        self._work = self._carry_out(plan)
        self.begun.emit()
        for lane in lanes:
            lane.state_changed.connect(self._advance)
        self._advance()

    @Slot()
    def stop(self) -> None:
        """Stop every lane of the run, in whatever phase it is."""
        if not self.running:
            return
        self._stopped = True
        self._set_waiting(())
        for lane in list(self._lanes):
            lane.cancel()
        self._advance()

    def discard(self, lane: LaneController) -> None:
        """Go on without a lane that is being removed."""
        if lane not in self._lanes:
            return
        lane.state_changed.disconnect(self._advance)
        self._lanes.remove(lane)
        self._generations.pop(lane, None)
        self._set_waiting([other for other in self._waiting if other is not lane])
        self._advance()

    @Slot()
    def _advance(self) -> None:
        # A lane's change while one is being handled is seen by the loops of `_carry_out`.
        if self._advancing or self._work is None:
            return
        self._advancing = True
        ended = False
        try:
            next(self._work)
        except StopIteration:
            ended = True
        finally:
            self._advancing = False
        if ended:
            self._finish()

    def _carry_out(self, plan: Plan[LaneController]) -> Iterator[None]:
        """Take one step after the other; yield where a lane's state must change first."""
        step = next_step(plan)
        while step is not None and not self._stopped:
            if isinstance(step, LoadStep):
                self._load(step)
            while not self._stopped and self._is_busy(step):
                yield
            if isinstance(step, GenerateStep) and not self._stopped:
                self._generate(step)
            while any(lane.state.stage is Stage.GENERATING for lane in self._generations):
                yield
            step = next_step(plan, self._take_answers(step))
        plan.close()

    def _load(self, step: LoadStep[LaneController]) -> None:
        lanes = self._present(step.lanes)
        self._set_waiting(lanes)
        for lane in lanes:
            if lane.state.stage in _WITHOUT_MODEL:
                lane.load()

    def _is_busy(self, step: Step[LaneController]) -> bool:
        """Whether a lane of the step is loading, for the run or since its model was changed."""
        return any(lane.state.stage in _BUSY for lane in self._present(step.lanes))

    def _generate(self, step: GenerateStep[LaneController]) -> None:
        self._set_waiting(self._present(step.waiting))
        self.stepped.emit(step)
        for lane in self._present(step.lanes):
            if not lane.state.can_generate:
                continue
            sent = lane.generate(step.prompt(lane), step.options, step.timing)
            if sent and lane.generation is not None:
                self._generations[lane] = lane.generation
                self.sent.emit(step, lane)

    def _take_answers(self, step: Step[LaneController]) -> dict[LaneController, Answer]:
        """Return the answers to a step whose generations have ended."""
        generations, self._generations = self._generations, {}
        answers = {lane: g.answer for lane, g in generations.items() if g.answer is not None}
        for lane, answer in answers.items():
            self._answered[lane] = None
            self.answered.emit(step, lane, answer)
        return answers

    def _present(self, lanes: Sequence[LaneController]) -> list[LaneController]:
        """Return those of the lanes that have not been removed."""
        return [lane for lane in lanes if lane in self._lanes]

    def _set_waiting(self, lanes: Sequence[LaneController]) -> None:
        before, self._waiting = self._waiting, list(lanes)
        for lane in dict.fromkeys((*before, *lanes)):
            if (lane in before) != (lane in self._waiting):
                self.waiting_changed.emit(lane, lane in self._waiting)

    def _finish(self) -> None:
        lanes, self._lanes, self._work = self._lanes, [], None
        for lane in lanes:
            lane.state_changed.disconnect(self._advance)
        failed = [x for x in lanes if x not in self._answered and x.state.failure is not None]
        self.finished.emit(RunResult(tuple(self._answered), tuple(failed), self._stopped))
