"""Decides which lanes a button of a model's page sets up, and what they need downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from playground.core.facts import ModelSpec
from playground.core.format import size_text
from playground.core.lane import LaneChoice
from playground.core.precision import Precision
from playground.hub.catalog import DerivativeGroup, ModelPage, ModelRow


@dataclass(frozen=True)
class LanePlan:
    """Lanes to set up. `label` names their precisions, `first` what is downloaded before; "" where
    everything is on this machine."""

    label: str
    lanes: tuple[LaneChoice, ...]
    first: str = ""


def precision_of(row: ModelRow) -> Precision | None:
    """Return the precision of a model's stored weights, bf16 for plain ones; None: none runs."""
    match row.quantization:
        case "":
            return Precision.BF16
        case "gptq":
            return Precision.GPTQ
        case "int8":
            return Precision.INT8
        case "nf4":
            return Precision.NF4
        case "bitsandbytes":
            return Precision.INT8 if row.bits == 8 else Precision.NF4
        case _:
            return None


def comparison(
    page: ModelPage, groups: Sequence[DerivativeGroup], *, gptq_beside: bool = False
) -> LanePlan | None:
    """Return lanes with bf16 and GPTQ of a page's model; None where there is no such pair.

    A GPTQ version on this machine is preferred, else the most downloaded one is taken.
    `gptq_beside`: a GPTQ folder lies beside the model's own.
    """
    if page.cannot_load:
        return None
    if page.row.quantization == "gptq":
        return _with_base(page)
    if page.row.quantization:
        return None
    if gptq_beside:
        return _plan([(page.spec, Precision.BF16), (page.spec, Precision.GPTQ)], [_with_size(page)])
    versions = [row for group in groups if group.method == "gptq" for row in group.rows]
    best = min(versions, key=lambda row: not row.is_here, default=None)
    return versus(page, best) if best is not None else None


def versus(page: ModelPage, version: ModelRow) -> LanePlan | None:
    """Return lanes with a page's model in bf16 and a version of it; None where it cannot run."""
    precision = precision_of(version)
    if precision is None or page.cannot_load or page.row.quantization:
        return None
    lanes = [(page.spec, Precision.BF16), (version.spec, precision)]
    return _plan(lanes, [_with_size(page), version])


def trial(page: ModelPage) -> LanePlan | None:
    """Return one lane with the model in its stored precision; None where it cannot run."""
    precision = precision_of(page.row)
    if precision is None or page.cannot_load:
        return None
    return _plan([(page.spec, precision)], [_with_size(page)])


def _with_base(page: ModelPage) -> LanePlan | None:
    if not page.base_models:
        return None
    base = ModelSpec(page.base_models[0])
    first = _needs([_with_size(page)])
    first = f"{first} and {base.source}, if it is not here yet" if first else ""
    plan = _plan([(base, Precision.BF16), (page.spec, Precision.GPTQ)], [])
    return LanePlan(plan.label, plan.lanes, first or f"{base.source}, if it is not here yet")


def _plan(lanes: Sequence[LaneChoice], rows: Sequence[ModelRow]) -> LanePlan:
    label = " and ".join(precision.label.partition(" ")[0] for _, precision in lanes)
    return LanePlan(label, tuple(lanes), _needs(rows))


def _with_size(page: ModelPage) -> ModelRow:
    """Return the page's row with the size of the files that a download fetches."""
    return replace(page.row, size=page.load_bytes or page.row.size)


def _needs(rows: Sequence[ModelRow]) -> str:
    sizes = [size_text(row.size) if row.size else row.name for row in rows if not row.is_here]
    return " and ".join(sizes)
