"""Sums up an evaluation: a line for each contestant, and its verdict."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from playground.evaluation.run.tally import Paired, Tally, paired, tally
from playground.evaluation.statistics import ALPHA, Interval, wilson
from playground.evaluation.store.records import (
    EvaluationState,
    ItemAnswer,
    KeptContestant,
    KeptEvaluation,
)
from playground.evaluation.verdict import Verdict, verdict


@dataclass(frozen=True)
class ContestantSummary:
    """What an evaluation shows of a contestant.

    `share` is the interval of its right answers. `seconds` is the median time of an answer, `rate`
    the median tokens per second after the first; None where nothing was measured. `verdict` and
    `paired` are None for the reference.
    """

    label: str
    tally: Tally
    share: Interval
    seconds: float | None
    rate: float | None
    memory_bytes: int
    failure: str
    verdict: Verdict | None = None
    paired: Paired | None = None


def summarise(evaluation: KeptEvaluation, *, estimate: bool = True) -> list[ContestantSummary]:
    """Return the contestants' summaries in their order.

    The interval of a verdict is Tango's where the evaluation went to its planned end without
    stopping early, else the set that is valid at any stop. `estimate` as in `verdict`.
    """
    plan = evaluation.plan
    fixed = evaluation.state is EvaluationState.FINISHED and not plan.early_stop
    alpha = ALPHA / max(1, len(plan.contestants) - 1)
    summaries = []
    for position, contestant in enumerate(evaluation.contestants):
        found = tally(contestant)
        is_reference = position == plan.reference
        beside = None if is_reference else paired(evaluation, position)
        said = None
        if beside is not None:
            said = verdict(
                beside.counts,
                plan.margin,
                alpha=alpha,
                fixed=fixed,
                estimate=estimate,
                groups=tuple(beside.groups.values()),
            )
        summaries.append(
            ContestantSummary(
                label=contestant.label,
                tally=found,
                share=wilson(found.right, found.graded),
                seconds=_median(contestant, _seconds),
                rate=_median(contestant, _rate),
                memory_bytes=max(
                    (item.answer.peak_memory_bytes for item in contestant.items.values()),
                    default=0,
                ),
                failure=contestant.failure,
                verdict=said,
                paired=beside,
            )
        )
    return summaries


def remaining_s(evaluation: KeptEvaluation) -> float | None:
    """Return the seconds that the rest takes at the pace so far; None without a sample.

    A contestant that has not answered yet is taken to be as fast as the others.
    """
    means = []
    for contestant in evaluation.contestants:
        times = [
            one.answer.total_s
            for one in contestant.items.values()
            if one.answer.total_s and not one.answer.reused
        ]
        means.append(statistics.fmean(times) if times else None)
    known = [mean for mean in means if mean is not None]
    if not known:
        return None
    usual = statistics.fmean(known)
    planned = len(evaluation.plan.order)
    return sum(
        (planned - len(one.items)) * (usual if mean is None else mean)
        for one, mean in zip(evaluation.contestants, means, strict=True)
        if not one.failure
    )


def _median(
    contestant: KeptContestant, value: Callable[[ItemAnswer], float | None]
) -> float | None:
    values = [
        found
        for item in contestant.items.values()
        if not item.answer.reused and (found := value(item.answer)) is not None
    ]
    return statistics.median(values) if values else None


def _seconds(answer: ItemAnswer) -> float | None:
    return answer.total_s or None


def _rate(answer: ItemAnswer) -> float | None:
    spent = answer.total_s - answer.first_s
    return (len(answer.token_ids) - 1) / spent if spent > 0 and answer.token_ids else None
