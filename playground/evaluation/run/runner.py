"""Carries out an evaluation: asks every contestant every case, and keeps each answer at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from playground.core.errors import PlaygroundError
from playground.core.facts import Answer
from playground.core.generation import GenerationOptions, Prompt, RawPrompt
from playground.evaluation.case import Case, GraderKind
from playground.evaluation.run.grading import grade_item
from playground.evaluation.run.lane import EvaluationLane, Observer, OpenLane, Paused
from playground.evaluation.run.tally import paired
from playground.evaluation.statistics import ALPHA
from playground.evaluation.store.records import (
    EvaluationState,
    ItemAnswer,
    KeptEvaluation,
    KeptItem,
    answer_key,
)
from playground.evaluation.store.store import EvaluationStore
from playground.evaluation.suites.prompts import case_key, prefix_of, prompt_of
from playground.evaluation.verdict import VerdictKind, verdict

#: Prompts that are counted at a time.
_COUNTED = 256


@dataclass
class _Open:
    """An open lane: the tokens of its worked examples, and those of each case's prompt."""

    lane: EvaluationLane
    shared: int = 0
    tokens: dict[str, int] = field(default_factory=dict)


class Runner:
    """Carries out one evaluation, which may have begun before.

    With `together` all contestants are loaded at once and asked case by case; otherwise one
    after the other. `should_pause` is asked after each answer.
    """

    def __init__(
        self,
        store: EvaluationStore,
        evaluation: KeptEvaluation,
        open_lane: OpenLane,
        *,
        together: bool,
        observer: Observer | None = None,
        should_pause: Callable[[], bool] = lambda: False,
    ) -> None:
        self.evaluation = evaluation
        self._store = store
        self._open_lane = open_lane
        self._together = together
        self._observer = observer or Observer()
        self._should_pause = should_pause
        self._open: dict[int, _Open] = {}
        self._reopened: set[int] = set()
        self._cases = evaluation.cases
        self._prompts: dict[str, Prompt] = {}

    def run(self) -> EvaluationState:
        """Ask what has not been answered yet; return how far the evaluation is then.

        Raises PlaygroundError where results cannot be kept, or where no contestant is left.
        """
        plan = self.evaluation.plan
        self._prompts = {
            case_id: prompt_of(self.evaluation.suite, self._cases[case_id])
            for case_id in plan.order
        }
        self._store.resume(self.evaluation.id)
        state = EvaluationState.INTERRUPTED
        try:
            positions = self._in_turn()
            for group in [positions] if self._together else [[one] for one in positions]:
                self._ask_group(group)
            if all(one.failure for one in self.evaluation.contestants):
                raise PlaygroundError(
                    "No contestant could answer.", "Each of them says why in the results."
                )
            state = self._ended()
        except Paused:
            state = EvaluationState.PAUSED
        finally:
            self._close()
            self.evaluation.state = state
            self._store.set_state(self.evaluation.id, state)
        return state

    def _in_turn(self) -> list[int]:
        """Return the contestants' positions, the reference first: the others are compared to it."""
        plan = self.evaluation.plan
        others = [p for p in range(len(plan.contestants)) if p != plan.reference]
        return [plan.reference, *others]

    def _ended(self) -> EvaluationState:
        asked = [one for one in self.evaluation.contestants if not one.failure]
        whole = all(len(one.items) == len(self.evaluation.plan.order) for one in asked)
        return EvaluationState.FINISHED if whole else EvaluationState.DECIDED

    def _ask_group(self, positions: Sequence[int]) -> None:
        """Ask these contestants case by case, in alternating order."""
        left = [p for p in positions if self._missing(p) and not self._is_decided(p)]
        for position in left:
            self._load(position)
        for number, case_id in enumerate(self.evaluation.plan.order):
            turn = [p for p in left if p in self._open]
            if not turn or self._may_stop(turn):
                break
            for position in turn if number % 2 == 0 else reversed(turn):
                if case_id not in self.evaluation.contestants[position].items:
                    self._ask(position, case_id)
        if not self._together:
            self._close()

    def _missing(self, position: int) -> bool:
        lane = self.evaluation.contestants[position]
        return any(case_id not in lane.items for case_id in self.evaluation.plan.order)

    # One lane

    def _load(self, position: int) -> None:
        """Open a contestant's lane, count its prompts and read its worked examples."""
        contestant = self.evaluation.contestants[position]
        self._observer.loading(position)
        lane: EvaluationLane | None = None
        try:
            lane = self._open_lane(contestant.config)
            contestant.loaded = lane.load()
            opened = _Open(lane)
            self._count(opened, position)
            prefix = prefix_of(self.evaluation.suite)
            if prefix and contestant.loaded.server is None:
                options = msgspec.structs.replace(self.evaluation.plan.options, max_new_tokens=1)
                opened.shared = lane.generate(RawPrompt(prefix), options, 0).prompt_tokens
        except PlaygroundError as error:
            if lane is not None:
                lane.close()
            self._fail(position, error)
            return
        except BaseException:
            if lane is not None:
                lane.close()
            raise
        contestant.failure = ""
        self._store.set_loaded(self.evaluation.id, position, contestant.loaded)
        self._open[position] = opened
        self._observer.loaded(position, contestant.loaded)

    def _count(self, opened: _Open, position: int) -> None:
        lane = self.evaluation.contestants[position]
        missing = [one for one in self.evaluation.plan.order if one not in lane.items]
        for start in range(0, len(missing), _COUNTED):
            part = missing[start : start + _COUNTED]
            counts = opened.lane.count([self._prompts[case_id] for case_id in part])
            opened.tokens.update(zip(part, counts, strict=False))

    def _ask(self, position: int, case_id: str) -> None:
        """Get and keep a contestant's answer; a lane that has died is opened once more."""
        if self._should_pause():
            raise Paused
        contestant = self.evaluation.contestants[position]
        try:
            key, answer = self._answer(position, case_id)
        except PlaygroundError as error:
            if not self._open[position].lane.alive:
                self._open.pop(position).lane.close()
                if position in self._reopened:
                    self._fail(position, error)
                    return
                self._reopened.add(position)
                self._load(position)
                if position in self._open:
                    self._ask(position, case_id)
                return
            key, answer = "", ItemAnswer(failure=str(error))
        grade = grade_item(answer, self._cases[case_id])
        self._store.add(self.evaluation.id, position, case_id, key, answer, grade)
        contestant.items[case_id] = KeptItem(answer, grade)
        self._observer.answered(position, case_id)

    def _answer(self, position: int, case_id: str) -> tuple[str, ItemAnswer]:
        opened, case = self._open[position], self._cases[case_id]
        loaded = self.evaluation.contestants[position].loaded
        prompt, options = self._prompts[case_id], self.evaluation.plan.options
        if loaded is None:
            raise PlaygroundError("The contestant is not loaded.", "Start the evaluation again.")
        if reason := _too_long(opened.tokens.get(case_id, 0), loaded.context_length, options):
            return "", ItemAnswer(skipped=reason, prompt_tokens=opened.tokens[case_id])
        key = answer_key(_question_key(prompt, case), loaded, options)
        if (earlier := self._store.earlier(key)) is not None:
            return key, earlier
        if case.grader.kind is GraderKind.CHOICE:
            return key, self._choices(opened, prompt, case)
        return key, _kept(opened.lane.generate(prompt, options, opened.shared))

    def _choices(self, opened: _Open, prompt: Prompt, case: Case) -> ItemAnswer:
        if not isinstance(prompt, RawPrompt):
            raise PlaygroundError(
                "The likelihood of choices is measured in a text, not in a conversation.",
                "Switch the suite's chat off, or use the grader letter.",
            )
        scores = opened.lane.score(prompt.text, [f" {choice}" for choice in case.choices])
        best = max(range(len(scores)), key=lambda n: scores[n].logprob)
        return ItemAnswer(text=case.choices[best], choices=scores, stop_reason="eos")

    def _fail(self, position: int, error: PlaygroundError) -> None:
        self.evaluation.contestants[position].failure = str(error)
        self._store.set_failure(self.evaluation.id, position, str(error))
        self._observer.failed(position, error)

    def _close(self) -> None:
        for opened in self._open.values():
            opened.lane.close()
        self._open.clear()

    # Early stop

    def _may_stop(self, positions: Sequence[int]) -> bool:
        """Return whether each contestant that is being asked is decided."""
        others = [p for p in positions if p != self.evaluation.plan.reference]
        if not others:
            return False
        return all(self._is_decided(position) for position in others)

    def _is_decided(self, position: int) -> bool:
        plan = self.evaluation.plan
        if not plan.early_stop or position == plan.reference:
            return False
        found = paired(self.evaluation, position)
        shown = verdict(
            found.counts,
            plan.margin,
            alpha=ALPHA / max(1, len(plan.contestants) - 1),
            fixed=False,
            estimate=False,
            groups=tuple(found.groups.values()),
        )
        return shown.kind is not VerdictKind.UNDECIDED


def _too_long(tokens: int, context: int, options: GenerationOptions) -> str:
    """Return why a prompt does not fit with its new tokens, "" where it does."""
    new = options.max_new_tokens
    if not context or not tokens or tokens + new <= context:
        return ""
    return (
        f"Its prompt has {tokens:,} tokens; with {new:,} new ones that is more than the model's "
        f"context of {context:,}."
    )


def _question_key(prompt: Prompt, case: Case) -> str:
    """Return a hash of what is asked, and of what is scored."""
    if case.grader.kind is GraderKind.CHOICE:
        return case_key(prompt) + "".join(case_key(RawPrompt(choice)) for choice in case.choices)
    return case_key(prompt)


def _kept(answer: Answer) -> ItemAnswer:
    return ItemAnswer(
        text=answer.text,
        token_ids=answer.token_ids,
        stop_reason=answer.stop_reason,
        prompt_tokens=answer.prompt_tokens,
        reused_tokens=answer.reused_tokens,
        first_s=answer.times[0] if answer.times else 0.0,
        total_s=answer.times[-1] if answer.times else 0.0,
        peak_memory_bytes=answer.peak_memory_bytes,
    )
