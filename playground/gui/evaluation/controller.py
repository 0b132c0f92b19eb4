"""Decides in the evaluation workspace: which suite, which contestants, when it runs and pauses."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from playground.core.comparison import default_reference
from playground.core.errors import PlaygroundError
from playground.core.facts import EngineFacts, LoadedModel
from playground.core.format import human_duration
from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig
from playground.core.memory.headroom import free_bytes
from playground.core.system import paths
from playground.evaluation.case import Case, GraderKind, GraderSpec, Suite
from playground.evaluation.grade import Grade, GradeState
from playground.evaluation.report.forms import (
    lines_of,
    markdown_of,
    page_of,
    table_of,
    write_bundle,
)
from playground.evaluation.report.summary import remaining_s
from playground.evaluation.report.text import report_of
from playground.evaluation.store.records import (
    EvaluationPlan,
    EvaluationState,
    KeptEvaluation,
    KeptItem,
)
from playground.evaluation.store.store import EvaluationStore
from playground.gui.context import AppContext
from playground.gui.evaluation import library
from playground.gui.evaluation.worker import EvaluationWorker
from playground.hub.local.prepare import Prepared

Prepare = Callable[[LaneConfig, EngineFacts | None], Prepared]
#: At most this many cases are asked, in an order that the seed decides.
MOST_CASES = 200
MARGIN = 0.05
#: How often (ms) what came is drawn, and how long after the last change a suite is saved.
DRAW_MS, SAVE_MS = 100, 800
#: The share of the free memory that contestants may take together.
_SHARE = 0.8


class EvaluationController(QObject):
    """Keeps the suite that is edited and the evaluation that is shown; views draw them."""

    listed = Signal(object)  # a library.Listed
    suite_shown = Signal(object, bool)  # a Suite, and whether it can be edited
    evaluation_shown = Signal(object)  # a KeptEvaluation, or None
    progressed = Signal(object)  # the ids of cases with new answers
    state_changed = Signal()  # running, what it does, what the plan says

    def __init__(
        self, context: AppContext, prepare: Prepare, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.notify = context.notify
        self.suite = Suite(name="", cases=())
        self.evaluation: KeptEvaluation | None = None
        self.contestants: tuple[LaneConfig, ...] = ()
        self.chosen: set[int] = set()  # of the contestants, those that take part
        self.activity = ""
        self._context = context
        self._prepare = prepare
        self._name = ""  # what the suite was loaded by
        self._own = False
        self._worker: EvaluationWorker | None = None
        self._pausing = False
        self._fresh: set[str] = set()
        self._draw = QTimer(self, interval=DRAW_MS)
        self._draw.timeout.connect(self._tell_progress)
        self._save = QTimer(self, singleShot=True, interval=SAVE_MS)
        self._save.timeout.connect(self.save)

    # Suites

    @property
    def running(self) -> bool:
        return self._worker is not None

    @property
    def editable(self) -> bool:
        return self._own

    @Slot()
    def list_all(self) -> None:
        """Read again what there is."""
        self._context.background.start(library.listed, self._listed)

    def open_suite(self, name: str) -> None:
        """Show a suite, by its path or name."""
        self.save()
        self._context.background.start(
            partial(library.load_suite, name), self._suite_loaded, self.notify.error
        )

    @Slot()
    def new_suite(self) -> None:
        """Begin a suite of one's own."""
        self.save()
        path = library.new_path("cases")
        self._name, self._own = str(path), True
        self.suite = Suite(name=path.name, cases=(), source=path.name)
        self.suite_shown.emit(self.suite, True)
        self.state_changed.emit()

    @Slot()
    def copy_suite(self) -> None:
        """Begin a suite of one's own with the cases that are shown."""
        path = library.new_path(Path(self.suite.name).stem.replace("/", " "))
        self._name, self._own = str(path), True
        self.suite = msgspec.structs.replace(self.suite, name=path.name, source=path.name)
        self.suite_shown.emit(self.suite, True)
        self.save()

    def edit_cases(self, cases: Sequence[Case]) -> None:
        """Take the cases that the user edited; they are saved soon."""
        self.suite = msgspec.structs.replace(self.suite, cases=tuple(cases))
        self._save.start()
        self.state_changed.emit()

    def edit_options(self, chat: bool, new_tokens: int, template: str, stop: Sequence[str]) -> None:
        """Take what all cases share."""
        self.suite = msgspec.structs.replace(
            self.suite, chat=chat, max_new_tokens=new_tokens, template=template, stop=tuple(stop)
        )
        self._save.start()
        self.state_changed.emit()

    @Slot()
    def save(self) -> None:
        """Write the suite that was edited."""
        self._save.stop()
        if not (self._own and self.suite.cases):
            return
        try:
            library.save_suite(Path(self._name), self.suite)
        except PlaygroundError as error:
            self.notify.warning(error)
        self.list_all()

    def keep_prompt(self, typed: str, system: str, *, chat: bool) -> None:
        """Keep a prompt of the lanes as a case."""
        if not typed.strip():
            self.notify.info("There is no prompt to keep.", "Type one, or run one first.")
            return
        try:
            suite = library.kept_suite()
            number = len(suite.cases) + 1
            case = Case(
                id=f"{number}", input=typed, system=system, grader=GraderSpec(GraderKind.HUMAN)
            )
            suite = msgspec.structs.replace(
                suite, cases=(*suite.cases, case), chat=chat or suite.chat
            )
            library.save_suite(paths.suites_dir() / library.KEPT, suite)
        except PlaygroundError as error:
            self.notify.warning(error)
            return
        self.notify.info(
            f"The prompt is kept as case {number} of {Path(library.KEPT).stem}.",
            "Evaluate → Evaluate… gives it a target and a grader.",
        )
        self.list_all()

    @Slot(object)
    def _listed(self, found: library.Listed) -> None:
        self.listed.emit(found)

    @Slot(object)
    def _suite_loaded(self, loaded: tuple[str, Suite, bool]) -> None:
        self._name, self.suite, self._own = loaded
        self.suite_shown.emit(self.suite, self._own)
        self.state_changed.emit()

    # Contestants

    def offer(self, contestants: Sequence[LaneConfig]) -> None:
        """Offer these contestants; all of them take part."""
        self.contestants = tuple(dict.fromkeys(contestants))
        self.chosen = set(range(len(self.contestants)))
        self.state_changed.emit()

    def choose(self, position: int, taking_part: bool) -> None:
        """Let a contestant take part, or not."""
        (self.chosen.add if taking_part else self.chosen.discard)(position)
        self.state_changed.emit()

    def taking_part(self) -> tuple[LaneConfig, ...]:
        """Return the contestants that take part."""
        return tuple(one for n, one in enumerate(self.contestants) if n in self.chosen)

    def plan_text(self) -> str:
        """Return the plan in one line."""
        if self.evaluation is not None and (self.running or not self.suite.cases):
            return self._running_text(self.evaluation)
        lanes, count = self.taking_part(), len(self.suite.cases)
        asked = min(count, MOST_CASES)
        reference = default_reference([one.precision for one in lanes])
        names = [f"{one.how}{' ★' if n == reference else ''}" for n, one in enumerate(lanes)]
        return " · ".join(
            [
                self.suite.name or "no suite",
                f"{asked:,} of {count:,} cases, shuffled",
                ", ".join(names) or "no contestant",
                f"margin {MARGIN * 100:g} points",
                "stops early",
            ]
        )

    def _running_text(self, evaluation: KeptEvaluation) -> str:
        done = sum(len(one.items) for one in evaluation.contestants)
        planned = len(evaluation.plan.order) * len(evaluation.contestants)
        parts = [evaluation.suite.name, f"{done:,} of {planned:,} answers"]
        if self.running:
            left = remaining_s(evaluation)
            parts.append(self.activity or "running")
            if left:
                parts.append(f"about {human_duration(left)} left at most")
        else:
            parts.append(evaluation.state.value)
        return " · ".join(parts)

    # Running

    def reason_not_to_start(self) -> str:
        """Return why an evaluation cannot begin, "" where it can."""
        if self.running:
            return "An evaluation is running."
        if not self.suite.cases:
            return "The suite has no case yet."
        if not self.taking_part():
            return "No contestant takes part."
        return ""

    @Slot()
    def start(self) -> None:
        """Begin an evaluation of the suite that is shown."""
        if reason := self.reason_not_to_start():
            self.notify.info(reason, "Add cases and contestants, or wait until it has ended.")
            return
        self.save()
        lanes = self.taking_part()
        order = [case.id for case in self.suite.cases]
        random.Random(0).shuffle(order)  # noqa: S311  # an order that can be had again
        plan = EvaluationPlan(
            contestants=lanes,
            reference=default_reference([one.precision for one in lanes]),
            order=tuple(order[:MOST_CASES]),
            options=GenerationOptions(
                max_new_tokens=self.suite.max_new_tokens, stop=self.suite.stop
            ),
            margin=MARGIN,
        )
        self._context.background.start(
            partial(_begin, plan, self.suite, self._prepare), self._begun, self.notify.error
        )

    def resume(self) -> None:
        """Go on with the evaluation that is shown."""
        if self.evaluation is not None and self.evaluation.state.unfinished and not self.running:
            work = partial(_with_fit, self.evaluation, self._prepare)
            self._context.background.start(work, self._begun, self.notify.error)

    @Slot()
    def pause(self) -> None:
        """Pause after the answers under way."""
        if self._worker is not None:
            self._pausing = True
            self.activity = "pausing after this answer"
            self._worker.pause()
            self.state_changed.emit()

    def open_evaluation(self, number: int) -> None:
        """Show a kept evaluation."""
        if self.running:
            self.notify.info("An evaluation is running.", "Pause it before another one is shown.")
            return
        self._context.background.start(
            partial(library.load_evaluation, number), self._begun_shown, self.notify.error
        )

    def delete(self, number: int) -> None:
        """Remove a kept evaluation."""
        if self.running and self.evaluation is not None and self.evaluation.id == number:
            self.notify.info("This evaluation is running.", "Pause it first.")
            return
        self._context.background.start(
            partial(library.delete_evaluation, number), self._deleted, self.notify.error
        )

    def overrule(self, position: int, case_id: str, right: bool) -> None:
        """Keep the grade that a person gave; the same once more takes it back."""
        evaluation = self.evaluation
        item = evaluation.contestants[position].items.get(case_id) if evaluation else None
        if evaluation is None or item is None:
            return
        given = Grade(state=GradeState.GRADED, score=float(right), human=True)
        human = None if item.human == given else given
        evaluation.contestants[position].items[case_id] = KeptItem(item.answer, item.grade, human)
        self._context.background.start(
            partial(_overrule, evaluation.id, position, case_id, human), None, self.notify.warning
        )
        self.progressed.emit({case_id})

    def save_report(self, path: Path) -> None:
        """Write the evaluation that is shown in the form that the file's ending says."""
        if self.evaluation is not None:
            self._context.background.start(
                partial(_write_report, self.evaluation, path), self._report_saved, self.notify.error
            )

    def shut_down(self) -> None:
        """Pause what runs, at once: its answers so far are kept."""
        self.save()
        if self._worker is not None:
            self._worker.give_up()

    def wait(self, timeout_ms: int) -> bool:
        """After `shut_down`, wait for the thread; return whether it has ended."""
        return self._worker is None or self._worker.wait(timeout_ms)

    # Results

    @Slot(object)
    def _begun(self, begun: tuple[KeptEvaluation, bool]) -> None:
        if not self.running:
            self._launch(*begun)

    @Slot(object)
    def _begun_shown(self, evaluation: KeptEvaluation) -> None:
        self.evaluation = evaluation
        self.evaluation_shown.emit(evaluation)
        self.state_changed.emit()

    @Slot(object)
    def _deleted(self, number: int) -> None:
        if self.evaluation is not None and self.evaluation.id == number:
            self.evaluation = None
            self.evaluation_shown.emit(None)
        self.list_all()

    @Slot(object)
    def _report_saved(self, path: Path) -> None:
        self.notify.info(f"The report is saved as {path}.")

    def _launch(self, evaluation: KeptEvaluation, together: bool) -> None:
        self.evaluation = evaluation
        evaluation.state = EvaluationState.RUNNING
        self._pausing = False
        self.activity = "starting"
        worker = EvaluationWorker(
            paths.evaluations_file(),
            evaluation.id,
            self._context.settings.values.environments,
            lambda config, facts: self._prepare(config, facts).request,
            together=together,
        )
        worker.loading.connect(self._loading)
        worker.loaded.connect(self._loaded)
        worker.answered.connect(self._answered)
        worker.failed.connect(self._failed)
        worker.ended.connect(self._ended)
        self._worker = worker
        self._draw.start()
        worker.launch()
        self.evaluation_shown.emit(evaluation)
        self.state_changed.emit()

    @Slot(int)
    def _loading(self, position: int) -> None:
        if self.evaluation is not None and not self._pausing:
            self.activity = f"loading {self.evaluation.contestants[position].config.how}"
            self.state_changed.emit()

    @Slot(int, object)
    def _loaded(self, position: int, loaded: LoadedModel) -> None:
        if self.evaluation is not None:
            self.evaluation.contestants[position].loaded = loaded
            if not self._pausing:
                self.activity = ""
            self.state_changed.emit()

    @Slot(int, str, object)
    def _answered(self, position: int, case_id: str, item: KeptItem) -> None:
        if self.evaluation is not None:
            self.evaluation.contestants[position].items[case_id] = item
            self._fresh.add(case_id)

    @Slot(int, str)
    def _failed(self, position: int, sentence: str) -> None:
        if self.evaluation is not None:
            self.evaluation.contestants[position].failure = sentence
            self._fresh.update(self.evaluation.plan.order[:1])

    @Slot(object)
    def _ended(self, end: EvaluationState | PlaygroundError) -> None:
        worker, self._worker = self._worker, None
        self._draw.stop()
        self.activity = ""
        if self.evaluation is not None:
            paused = EvaluationState.INTERRUPTED
            self.evaluation.state = end if isinstance(end, EvaluationState) else paused
        if isinstance(end, PlaygroundError):
            self.notify.error(end)
        self._tell_progress()
        self.evaluation_shown.emit(self.evaluation)
        self.state_changed.emit()
        self.list_all()
        if worker is not None:
            worker.wait(5000)  # it emits `ended` just before its thread returns
            worker.deleteLater()

    @Slot()
    def _tell_progress(self) -> None:
        fresh, self._fresh = self._fresh, set()
        if fresh:
            self.progressed.emit(fresh)
            self.state_changed.emit()


def _begin(plan: EvaluationPlan, suite: Suite, prepare: Prepare) -> tuple[KeptEvaluation, bool]:
    with EvaluationStore(paths.evaluations_file()) as store:
        return _with_fit(store.evaluation(store.begin(plan, suite)), prepare)


def _with_fit(evaluation: KeptEvaluation, prepare: Prepare) -> tuple[KeptEvaluation, bool]:
    """Return an evaluation, and whether all its contestants fit into the free memory at once."""
    free = free_bytes(evaluation.plan.contestants[0].device, None)
    needed = 0
    for config in evaluation.plan.contestants:
        try:
            planned = prepare(config, None)
        except PlaygroundError:
            continue  # its load says why it cannot be had
        if planned.plan is not None:
            needed += planned.plan.needed
    return evaluation, free is not None and needed <= _SHARE * free


def _overrule(number: int, position: int, case_id: str, grade: Grade | None) -> None:
    with EvaluationStore(paths.evaluations_file()) as store:
        store.overrule(number, position, case_id, grade)


def _write_report(evaluation: KeptEvaluation, path: Path) -> Path:
    """Write a report; return its path. Raises PlaygroundError."""
    if path.suffix.lower() == ".zip":
        write_bundle(evaluation, path)
        return path
    match path.suffix.lower():
        case ".jsonl":
            text = lines_of(evaluation)
        case ".csv":
            text = table_of(evaluation)
        case ".md":
            text = markdown_of(report_of(evaluation))
        case _:
            text = page_of(report_of(evaluation))
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise PlaygroundError(
            f"{path} could not be written: {error.strerror or error}.", "Choose another place."
        ) from error
    return path
