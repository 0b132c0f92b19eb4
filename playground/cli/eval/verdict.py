"""Prints what a table of outcomes shows: `playground eval verdict`."""

from __future__ import annotations

import argparse
import math
from typing import Any

from playground.cli.console import Console
from playground.core.errors import OptionsError
from playground.evaluation.statistics import (
    ALPHA,
    FEW_GROUPS,
    Interval,
    anytime,
    clustered_error,
    holm,
    mcnemar,
    tango,
    wilson,
)
from playground.evaluation.suites.outcomes import Outcomes, outcomes_of
from playground.evaluation.suites.table import read_table
from playground.evaluation.verdict import Verdict, clustered, signed, verdict, z_of


def print_verdict(args: argparse.Namespace) -> int:
    """Print the figures and the sentence of every contestant. Raises PlaygroundError."""
    console = Console(json=args.json)
    table = read_table(args.table)
    found = outcomes_of(table, args.group)
    reference = args.reference or found.reference()
    if reference not in found.columns:
        raise OptionsError(
            f"There is no contestant {reference!r}.", f"Choose one of: {', '.join(found.columns)}."
        )
    lanes = [name for name in found.columns if name != reference]
    adjusted = holm([_p_value(found, name, reference) for name in lanes])
    if found.ignored:
        console.note(f"Not compared: {', '.join(found.ignored)}.")
    _print_share(found, reference, reference, console)
    for name, p_value in zip(lanes, adjusted, strict=True):
        _print_lane(found, name, reference, p_value, args.margin / 100, len(lanes), console)
    return 0


def _p_value(found: Outcomes, name: str, reference: str) -> float:
    counts = found.paired(name, reference)
    return mcnemar(counts.lane_only, counts.reference_only)


def _share(found: Outcomes, name: str) -> tuple[dict[str, Any], str]:
    right, items = found.right(name)
    interval = wilson(right, items)
    fields = {"right": right, "items": items, "wilson": _pair(interval)}
    text = f"{right:,} of {items:,} right ({_percent(interval.low)} to {_percent(interval.high)})"
    return fields, text


def _print_share(found: Outcomes, name: str, reference: str, console: Console) -> None:
    fields, text = _share(found, name)
    console.event("reference", contestant=name, reference=reference, **fields)
    console.print(f"{name} (reference): {text}")


def _print_lane(
    found: Outcomes,
    name: str,
    reference: str,
    holm_p: float,
    margin: float,
    lanes: int,
    console: Console,
) -> None:
    counts = found.paired(name, reference)
    alpha = ALPHA / lanes
    b, c, n = counts.lane_only, counts.reference_only, counts.items
    groups = found.differences(name, reference) if found.groups else []
    shown: Verdict = verdict(counts, margin, alpha=alpha, fixed=True, groups=groups)
    score = tango(counts, z_of(alpha))
    always = anytime(b, c, n, alpha)
    fields, share = _share(found, name)
    console.event(
        "verdict",
        contestant=name,
        reference=reference,
        **fields,
        a=counts.both,
        b=b,
        c=c,
        d=counts.neither,
        n=n,
        difference=_finite(counts.difference),
        tango=_pair(score),
        mcnemar_p=mcnemar(b, c),
        holm_p=holm_p,
        anytime=_pair(always),
        level=1 - alpha,
        margin=margin,
        kind=shown.kind,
        further=shown.further,
        sentence=shown.text,
        **_clusters(groups, alpha),
    )
    console.print(f"{name}: {shown.text}")
    console.print(f"  {share}; {c:,} ↘ {b:,} ↗ of {n:,} cases in both")
    console.print(
        f"  difference {signed(counts.difference) if n else '–'} points; Tango {_between(score)}, "
        f"at any stop {_between(always)}; McNemar p = {mcnemar(b, c):.4g}"
        + (f", Holm {holm_p:.4g}" if lanes > 1 else "")
    )
    if groups:
        few = " (fewer than 20: not to be relied on)" if len(groups) < FEW_GROUPS else ""
        console.print(
            f"  over {len(groups):,} groups{few}: {_between(clustered(groups, alpha))}; "
            "the verdict holds both"
        )


def _clusters(groups: list[list[float]], alpha: float) -> dict[str, Any]:
    if not groups:
        return {}
    return {
        "groups": len(groups),
        "few_groups": len(groups) < FEW_GROUPS,
        "clustered_se": _finite(clustered_error(groups)),
        "clustered": _pair(clustered(groups, alpha)),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _pair(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _between(interval: Interval) -> str:
    return f"{signed(interval.low)} to {signed(interval.high)}"


def _percent(share: float) -> str:
    return f"{share:.1%}"
