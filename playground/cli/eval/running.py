"""Carries out an evaluation in the terminal: `playground eval run`."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from functools import partial

from playground.cli.console import Console
from playground.cli.eval.results import print_report
from playground.cli.interrupts import on_interrupt
from playground.cli.requests import local_model
from playground.client.environments import process_of
from playground.client.evaluation_lane import SessionLane
from playground.core.comparison import default_reference
from playground.core.errors import OptionsError, PlaygroundError
from playground.core.facts import EngineFacts, LoadedModel, LoadRequest
from playground.core.format import human_duration
from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig
from playground.core.memory.headroom import free_bytes
from playground.core.precision import Precision
from playground.core.settings import SettingsStore
from playground.core.system import paths
from playground.evaluation.case import Suite
from playground.evaluation.graders.grade import case_problem
from playground.evaluation.report.summary import remaining_s, summarise
from playground.evaluation.report.text import row_of
from playground.evaluation.run.lane import EvaluationLane, Observer
from playground.evaluation.run.runner import Runner
from playground.evaluation.store.records import EvaluationPlan, EvaluationState, KeptEvaluation
from playground.evaluation.store.store import EvaluationStore
from playground.evaluation.suites.named import find_suite
from playground.evaluation.verdict import VerdictKind
from playground.hub.local.prepare import choose_device, prepare
from playground.hub.source import model_spec

DEFAULT_PRECISIONS = (Precision.BF16, Precision.INT8, Precision.GPTQ)
#: The share of the free memory that contestants may take together.
_SHARE = 0.8
#: Exit codes of --fail-if-worse.
WORSE, UNDECIDED = 4, 5
_STATUS_S = 0.5
_WARNINGS = 3


def run_evaluation(args: argparse.Namespace) -> int:
    """Ask every contestant every case, and print the verdicts. Raises PlaygroundError."""
    console = Console(json=args.json)
    with EvaluationStore(paths.evaluations_file()) as store:
        number = args.resume or store.begin(*_planned(args, console))
        evaluation = store.evaluation(number)
        if not evaluation.state.unfinished:
            raise OptionsError(
                f"Evaluation {number} has ended.", f"See it with `playground eval show {number}`."
            )
        console.event("evaluation", number=number, suite=evaluation.suite.name)
        pause = _Pause()
        with on_interrupt(pause.request):
            runner = Runner(
                store,
                evaluation,
                partial(_open, args, pause),
                together=_fit_together(evaluation, args.device, console),
                observer=_Progress(evaluation, console),
                should_pause=lambda: pause.requested,
            )
            state = runner.run()
        console.end_status()
        print_report(store.evaluation(number), console)
    if state is EvaluationState.PAUSED:
        console.note(f"Go on with `playground eval run --resume {number}`.")
        raise KeyboardInterrupt
    return _code(evaluation, args)


def shuffled(suite: Suite, limit: int, seed: int) -> tuple[str, ...]:
    """Return the ids of at most `limit` cases in an order that the seed decides."""
    order = [case.id for case in suite.cases]
    random.Random(seed).shuffle(order)  # noqa: S311  # an order that can be had again
    return tuple(order[:limit] if limit else order)


def _planned(args: argparse.Namespace, console: Console) -> tuple[EvaluationPlan, Suite]:
    if not args.suite:
        raise OptionsError("No suite was named.", "Name a CSV or JSONL file, or starter.")
    suite = find_suite(args.suite, args.folder, args.shots)
    _warn_of_cases(suite, console)
    precisions = args.precisions or DEFAULT_PRECISIONS
    contestants = _contestants(args, precisions, console)
    if args.reference is not None and args.reference not in [c.precision for c in contestants]:
        raise OptionsError(
            f"The reference {args.reference} is not among the precisions.", "Add it to them."
        )
    found = [one.precision for one in contestants]
    reference = (
        found.index(args.reference) if args.reference is not None else default_reference(found)
    )
    options = GenerationOptions(
        max_new_tokens=args.new_tokens or suite.max_new_tokens, stop=suite.stop, seed=args.seed
    )
    options.check()
    plan = EvaluationPlan(
        contestants=contestants,
        reference=reference,
        order=shuffled(suite, args.limit, args.seed),
        options=options,
        margin=(args.fail_if_worse or args.margin) / 100,
        early_stop=not args.no_early_stop,
        seed=args.seed,
    )
    return plan, suite


def _warn_of_cases(suite: Suite, console: Console) -> None:
    """Name the first cases that cannot be graded; what they are asked would be lost."""
    problems = [(case.id, text) for case in suite.cases if (text := case_problem(case))]
    for name, text in problems[:_WARNINGS]:
        console.warn(f"The case {name} cannot be graded: {text}")
    if len(problems) > _WARNINGS:
        console.warn(f"So it is with {len(problems) - _WARNINGS:,} other cases.")


def _contestants(
    args: argparse.Namespace, precisions: Sequence[Precision], console: Console
) -> tuple[LaneConfig, ...]:
    """Return the models × precisions that can be had; those that cannot are named."""
    found, refused = [], []
    for model in args.model or ["bundled"]:
        for precision in precisions:
            spec = model_spec(model, args.revision)
            try:
                local_model(spec, precision, console)
            except PlaygroundError as error:
                refused.append(error)
                console.warn(f"{model} in {precision}: {error}")
                continue
            found.append(LaneConfig(spec, precision, args.device or "cpu"))
    if not found:
        raise refused[0]
    return tuple(found)


class _Pause:
    """Whether Ctrl+C asked for a pause; the second one gives up the answer under way."""

    def __init__(self) -> None:
        self.requested = False
        self.lanes: list[SessionLane] = []

    def request(self) -> None:
        if self.requested:
            for lane in self.lanes:
                lane.interrupt()
        self.requested = True


def _open(args: argparse.Namespace, pause: _Pause, config: LaneConfig) -> EvaluationLane:
    settings = SettingsStore().values

    def request(facts: EngineFacts) -> LoadRequest:
        choose_device(config.device, facts)
        return prepare(config, facts, settings.code_consents).request

    lane = SessionLane(process_of(config.environment, settings.environments), request)
    pause.lanes.append(lane)
    return lane


def _fit_together(evaluation: KeptEvaluation, device: str, console: Console) -> bool:
    """Return whether all contestants fit into the free memory at once."""
    free = free_bytes(device or "cpu", None)
    if free is None:
        return False
    needed = 0
    for config in evaluation.plan.contestants:
        planned = prepare(config, None).plan
        if planned is None:
            return False
        needed += planned.needed
    together = needed <= _SHARE * free
    if not together:
        console.note("The contestants do not fit into the memory together: one after the other.")
    return together


class _Progress(Observer):
    """Prints what comes, and how long the rest takes."""

    def __init__(self, evaluation: KeptEvaluation, console: Console) -> None:
        self._evaluation = evaluation
        self._console = console
        self._shown_at = 0.0

    def loading(self, position: int) -> None:
        self._console.status(f"loading {self._evaluation.contestants[position].label}")

    def loaded(self, position: int, loaded: LoadedModel) -> None:
        contestant = self._evaluation.contestants[position]
        self._console.event("loaded", contestant=position, label=contestant.label)
        if loaded.mismatch:
            self._console.warn(f"{contestant.label}: {loaded.mismatch}")

    def answered(self, position: int, case_id: str) -> None:
        item = self._evaluation.contestants[position].items[case_id]
        final = item.final
        self._console.event(
            "answered",
            contestant=position,
            case=case_id,
            state=final.state if final is not None else None,
            score=final.score if final is not None else None,
        )
        if time.monotonic() - self._shown_at < _STATUS_S:
            return
        self._shown_at = time.monotonic()
        done = sum(len(one.items) for one in self._evaluation.contestants)
        planned = len(self._evaluation.plan.order) * len(self._evaluation.contestants)
        shares = " · ".join(
            f"{one.label.rpartition(' · ')[2]} {row_of(one)[1]}"
            for one in summarise(self._evaluation, estimate=False)
        )
        left = remaining_s(self._evaluation)
        rest = f" · {human_duration(left)} left at most" if left else ""
        self._console.status(f"{done:,} of {planned:,} · {shares}{rest}")

    def failed(self, position: int, error: PlaygroundError) -> None:
        label = self._evaluation.contestants[position].label
        self._console.end_status()
        self._console.warn(f"{label}: {error}")
        self._console.event("contestant failed", contestant=position, message=error.message)


def _code(evaluation: KeptEvaluation, args: argparse.Namespace) -> int:
    """Return the exit code: 1 where a contestant failed, those of --fail-if-worse."""
    if args.fail_if_worse is not None:
        kinds = [one.verdict.kind for one in summarise(evaluation) if one.verdict is not None]
        if VerdictKind.LOSS in kinds:
            return WORSE
        if VerdictKind.UNDECIDED in kinds:
            return UNDECIDED
    return 1 if any(one.failure for one in evaluation.contestants) else 0
