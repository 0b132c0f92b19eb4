"""Counts an evaluation's grades, against the reference and each lane alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from playground.evaluation.case import Case
from playground.evaluation.grade import GradeState
from playground.evaluation.statistics import PairedCounts
from playground.evaluation.store.records import KeptContestant, KeptEvaluation


@dataclass(frozen=True)
class Tally:
    """A contestant's cases by what came of them."""

    right: int = 0
    wrong: int = 0
    no_answer: int = 0
    hit_limit: int = 0
    errors: int = 0
    skipped: int = 0
    human: int = 0  # graded by a person, and counted above too

    @property
    def graded(self) -> int:
        """The cases that count: a failure to answer is not right."""
        return self.right + self.wrong + self.no_answer + self.hit_limit


@dataclass(frozen=True)
class Paired:
    """A contestant's cases beside the reference's, where both were graded.

    `flips_down` are the ids of those that only the reference has right, `flips_up` those that only
    the contestant has. `groups` are the differences of the scores by the cases' groups.
    """

    counts: PairedCounts
    flips_down: tuple[str, ...] = ()
    flips_up: tuple[str, ...] = ()
    groups: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def tally(contestant: KeptContestant) -> Tally:
    """Return what came of a contestant's cases so far."""
    counts = dict.fromkeys(Tally.__dataclass_fields__, 0)
    for item in contestant.items.values():
        if item.answer.skipped:
            counts["skipped"] += 1
            continue
        grade = item.final
        if grade is None or grade.state is GradeState.ERROR:
            counts["errors"] += 1
            continue
        counts["human"] += item.human is not None
        if grade.state is GradeState.NO_ANSWER:
            counts["no_answer"] += 1
        elif grade.state is GradeState.HIT_LIMIT:
            counts["hit_limit"] += 1
        else:
            counts["right" if is_right(grade.score) else "wrong"] += 1
    return Tally(**counts)


def is_right(score: float | None) -> bool:
    """Return whether a score counts as right."""
    return score is not None and score >= 1.0


def paired(evaluation: KeptEvaluation, position: int) -> Paired:
    """Return a contestant's counts beside the reference's."""
    lane = evaluation.contestants[position]
    reference = evaluation.contestants[evaluation.plan.reference]
    both = down = up = neither = 0
    flips_down, flips_up = [], []
    groups: dict[str, list[float]] = {}
    cases = evaluation.cases
    for case_id in _both(lane, reference, evaluation.plan.order):
        here, there = _right(lane, case_id), _right(reference, case_id)
        if here is None or there is None:
            continue
        both += here and there
        neither += not here and not there
        if here and not there:
            up += 1
            flips_up.append(case_id)
        elif there and not here:
            down += 1
            flips_down.append(case_id)
        group = _group(cases, case_id)
        groups.setdefault(group, []).append(float(here) - float(there))
    counts = PairedCounts(both, up, down, neither)
    named = {name: tuple(values) for name, values in groups.items()}
    return Paired(counts, tuple(flips_down), tuple(flips_up), named)


def _both(lane: KeptContestant, reference: KeptContestant, order: Iterable[str]) -> Iterable[str]:
    return (one for one in order if one in lane.items and one in reference.items)


def _right(contestant: KeptContestant, case_id: str) -> bool | None:
    """Return whether a case is right; None where it says nothing."""
    item = contestant.items[case_id]
    grade = item.final
    if item.answer.skipped or grade is None or grade.state is GradeState.ERROR:
        return None
    return is_right(grade.score)


def _group(cases: Mapping[str, Case], case_id: str) -> str:
    case = cases.get(case_id)
    return (case.group if case is not None else "") or case_id
