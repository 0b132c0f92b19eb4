"""Carries out an evaluation on a QThread, and emits what comes as signals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QThread, Signal, Slot

from playground.client.environments import process_of
from playground.client.evaluation_lane import SessionLane
from playground.core.environments import EngineEnvironment
from playground.core.errors import PlaygroundError
from playground.core.facts import EngineFacts, LoadedModel, LoadRequest
from playground.core.lane import LaneConfig
from playground.evaluation.run.lane import EvaluationLane, Observer
from playground.evaluation.run.runner import Runner
from playground.evaluation.store.records import KeptEvaluation
from playground.evaluation.store.store import EvaluationStore

log = logging.getLogger(__name__)
#: Makes the request to load a contestant.
Request = Callable[[LaneConfig, EngineFacts | None], LoadRequest]


class EvaluationWorker(QObject):
    """Runs one evaluation. `ended` always comes, once and last.

    Everything but `run` is called on the GUI thread; `pause` and `give_up` return at once.
    """

    loading = Signal(int)
    loaded = Signal(int, object)  # a contestant's position, and its LoadedModel
    answered = Signal(int, str, object)  # position, the case's id, and the KeptItem
    failed = Signal(int, str)
    ended = Signal(object)  # an EvaluationState, or the PlaygroundError that ended it

    def __init__(
        self,
        path: Path,
        number: int,
        environments: tuple[EngineEnvironment, ...],
        request: Request,
        *,
        together: bool,
    ) -> None:
        super().__init__()
        self._path = path
        self._number = number
        self._environments = environments
        self._request = request
        self._together = together
        self._pause = threading.Event()
        self._lanes: list[SessionLane] = []
        self._evaluation: KeptEvaluation | None = None
        self._thread = QThread()

    def launch(self) -> None:
        """Begin on the thread."""
        self._thread.setObjectName("evaluation")
        self.moveToThread(self._thread)
        self._thread.started.connect(self.run)
        self._thread.start()

    def pause(self) -> None:
        """Stop after the answers under way."""
        self._pause.set()

    def give_up(self) -> None:
        """Stop now: the answers under way are lost, and asked again when it goes on."""
        self._pause.set()
        for lane in list(self._lanes):
            lane.interrupt()

    def wait(self, timeout_ms: int) -> bool:
        """After `pause` or `give_up`, wait for the thread; return whether it has ended."""
        return self._thread.wait(timeout_ms)

    @Slot()
    def run(self) -> None:
        """Carry the evaluation out. Called on the thread."""
        end: object
        try:
            with EvaluationStore(self._path) as store:
                self._evaluation = store.evaluation(self._number)
                end = Runner(
                    store,
                    self._evaluation,
                    self._open,
                    together=self._together,
                    observer=_Observer(self),
                    should_pause=self._pause.is_set,
                ).run()
        except PlaygroundError as error:
            end = error
        except Exception as error:  # a bug reaches the user as a message, too
            log.exception("the evaluation failed")
            end = PlaygroundError(f"The evaluation failed: {type(error).__name__}.", "", str(error))
        self.ended.emit(end)
        self._thread.quit()

    def _open(self, config: LaneConfig) -> EvaluationLane:
        lane = SessionLane(
            process_of(config.engine_environment, self._environments),
            lambda facts: self._request(config, facts),
        )
        self._lanes.append(lane)
        if self._pause.is_set():
            lane.interrupt()
        return lane

    def tell_answer(self, position: int, case_id: str) -> None:
        """Pass an answer on. Called on the thread."""
        if self._evaluation is not None:
            item = self._evaluation.contestants[position].items[case_id]
            self.answered.emit(position, case_id, item)


class _Observer(Observer):
    """Emits what a runner tells as signals of the worker."""

    def __init__(self, worker: EvaluationWorker) -> None:
        self._worker = worker

    def loading(self, position: int) -> None:
        self._worker.loading.emit(position)

    def loaded(self, position: int, loaded: LoadedModel) -> None:
        self._worker.loaded.emit(position, loaded)

    def answered(self, position: int, case_id: str) -> None:
        self._worker.tell_answer(position, case_id)

    def failed(self, position: int, error: PlaygroundError) -> None:
        self._worker.failed.emit(position, str(error))
