"""The memory part of `playground models show`: every precision against what is free."""

from __future__ import annotations

from typing import Any

from playground.cli.console import Console
from playground.core.errors import ModelError
from playground.core.format import NOTHING, printable, size_text
from playground.core.memory.corrections import corrections_for
from playground.core.memory.plan import DeviceBudget
from playground.core.memory.table import MemoryRow, MemoryTable, memory_table
from playground.core.model.weights import model_sizes
from playground.core.system.machine import machine_memory, processor
from playground.hub.catalog import ModelPage

_HEAD = ("Precision", "Needed", "Verdict", "Longest context", "Weights", "Cache", "Overhead")


def show_memory(page: ModelPage, console: Console, context: int) -> None:
    """Read the tensors' shapes and print the table, or a note where they cannot be read.

    `context` is in tokens, 0 for the default.
    """
    from playground.hub.pages.tensor_tables import read_tensors
    from playground.hub.site.api import HubSite

    if page.cannot_load:
        return
    try:
        tensors = read_tensors(page.spec, HubSite(), page.commit)
    except ModelError as error:
        console.note(f"The memory it needs is not known: {printable(str(error))}")
        return
    sizes = model_sizes(tensors.tensors, tensors.config, tensors.weight_bytes)
    free = machine_memory().free
    own = processor()
    budget = DeviceBudget(capability=own.capability, corrections=corrections_for(own.name))
    memory = memory_table(sizes, budget=budget, free=free, context=context)
    console.event("memory", **_fields(memory))
    console.print(
        f"\nMemory on the CPU at {memory.context:,} tokens; {size_text(free)} are free now."
    )
    planned = [row for row in memory.rows if row.plan is not None]
    console.table([_HEAD, *map(_cells, planned)], left=(0, 2))
    if any(row.needs_gptq for row in planned):
        console.note("GPTQ: for a GPTQ version of the model, which is a checkpoint of its own.")
    if not memory.cache_known:
        console.note("The cache is left out: the config does not give its size.")


def _cells(row: MemoryRow) -> tuple[str, ...]:
    plan = row.plan
    if plan is None:
        return (row.precision.label, *[NOTHING] * (len(_HEAD) - 1))
    return (
        row.precision.label,
        size_text(plan.needed),
        row.fit.value if row.fit else NOTHING,
        f"{row.longest:,}" if row.longest else "none",
        size_text(plan.weights.total),
        size_text(plan.cache),
        size_text(plan.overhead),
    )


def _fields(memory: MemoryTable) -> dict[str, Any]:
    return {
        "device": memory.device,
        "free_bytes": memory.free,
        "context": memory.context,
        "precisions": {row.precision.value: _row_fields(row) for row in memory.rows},
    }


def _row_fields(row: MemoryRow) -> dict[str, Any]:
    plan = row.plan
    if plan is None:
        return {"fit": None, "note": row.note}
    return {
        "fit": row.fit.value if row.fit else None,
        "longest_context": row.longest,
        "needed_bytes": plan.needed,
        "peak_bytes": plan.peak,
        "weights_bytes": plan.weights.total,
        "cache_bytes": plan.cache,
        "process_bytes": plan.process,
        "workspace_bytes": plan.workspace,
        "loading_bytes": plan.loading,
        "correction_bytes": plan.correction,
        "pages_bytes": plan.pages,
        "note": row.note,
    }
