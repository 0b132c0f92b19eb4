"""Compares a model's memory at every precision with what is free on one device."""

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
from playground.core.precision import LOADABLE, Precision


@dataclass(frozen=True, kw_only=True)
class MemoryRow:
    """One precision. `plan` is None where the checkpoint cannot be loaded so; `note` says why.

    `fit` and `longest` (the longest context that fits, in tokens) are None where the free memory
    is unknown. `needs_gptq`: the plan is for a GPTQ version, which is another checkpoint.
    """

    precision: Precision
    plan: MemoryPlan | None = None
    fit: Fit | None = None
    longest: int | None = None
    note: str = ""
    needs_gptq: bool = False


@dataclass(frozen=True, kw_only=True)
class MemoryTable:
    """All precisions on one device.

    `free`: bytes, None where unknown, including the `reclaimable` bytes of the lane that the
    model would replace. `context`: the tokens planned for, at most `most_context`.
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
    """Plan a model at every precision; `context` 0 stands for `default_context`.

    `reclaimable`: bytes that unloading a lane's present model adds to `free`.
    """
    most = sizes.context or 2**17
    context = min(context or default_context(sizes), most)
    if free is not None:
        free += reclaimable
    rows = tuple(_row(sizes, precision, budget, free, context) for precision in LOADABLE)
    return MemoryTable(
        device=budget.device,
        free=free,
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
    planned = plan(sizes, precision, budget, context)
    needs_gptq = precision is Precision.GPTQ and not sizes.quantization
    return MemoryRow(
        precision=precision,
        plan=planned,
        fit=None if free is None else verdict(planned.needed, free),
        longest=None if free is None else longest_context(sizes, precision, free, budget),
        note="as a GPTQ version of it" if needs_gptq else "",
        needs_gptq=needs_gptq,
    )
