"""What fits where: a model at every precision against what is free on one device."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.memory.plan import (
    SHORTEST,
    DeviceBudget,
    Fit,
    MemoryPlan,
    default_context,
    longest_context,
    plan,
    verdict,
)
from playground.core.model.weights import ModelSizes
from playground.core.precision import Precision

NEEDS_GPTQ = "as a GPTQ version of it"


@dataclass(frozen=True, kw_only=True)
class MemoryRow:
    """One precision. `plan` is None where the checkpoint cannot have it; `note` says why, or what
    the row is about. `fit` and `longest` (tokens) are None where nobody knows what is free.
    """

    precision: Precision
    plan: MemoryPlan | None = None
    fit: Fit | None = None
    longest: int | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class MemoryTable:
    """All precisions on one device. `free` in bytes, with `reclaimable` by a lane in it; `context`
    in tokens, at most `most_context`.
    """

    device: str
    free: int | None
    reclaimable: int
    context: int
    most_context: int
    rows: tuple[MemoryRow, ...]
    cache_known: bool = True


def memory_table(
    sizes: ModelSizes,
    *,
    budget: DeviceBudget,
    free: int | None = None,
    reclaimable: int = 0,
    context: int = 0,
) -> MemoryTable:
    """Plan a model at every precision. `context` 0 is `default_context`; `reclaimable` comes on
    top of `free`.
    """
    most = sizes.context or 2**17
    context = min(context or default_context(sizes), most)
    room = None if free is None else free + reclaimable
    rows = tuple(_row(sizes, precision, budget, room, context) for precision in Precision)
    return MemoryTable(
        device=budget.device,
        free=room,
        reclaimable=reclaimable,
        context=context,
        most_context=max(most, SHORTEST),
        rows=rows,
        cache_known=sizes.cache is not None,
    )


def _row(
    sizes: ModelSizes, precision: Precision, budget: DeviceBudget, free: int | None, context: int
) -> MemoryRow:
    if not sizes.offers(precision):
        return MemoryRow(precision=precision, note=f"stored as {sizes.quantization.upper()}")
    note = ""
    if precision is Precision.GPTQ and not sizes.quantization:
        note = NEEDS_GPTQ
    made = plan(sizes, precision, budget, context)
    if free is None:
        return MemoryRow(precision=precision, plan=made, note=note)
    longest = longest_context(sizes, precision, free, budget)
    return MemoryRow(
        precision=precision, plan=made, fit=verdict(made.needed, free), longest=longest, note=note
    )
