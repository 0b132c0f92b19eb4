"""Which lanes a click on a model's page sets up, and what has to be downloaded for them."""

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
    """Lanes to set up. `first` says what is downloaded before, "" where all of it is here."""

    label: str
    lanes: tuple[LaneChoice, ...]
    first: str = ""


def precision_of(row: ModelRow) -> Precision | None:
    """The precision that a model's stored weights make, bf16 for plain ones; None: none runs."""
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
    """bf16 and GPTQ of a page's model: its most downloaded GPTQ version, one that is here first.

    `gptq_beside`: a GPTQ folder lies beside the model's own. None where there is no pair.
    """
    if page.cannot_load:
        return None
    if page.row.quantization == "gptq":
        return _with_base(page)
    if page.row.quantization:
        return None
    if gptq_beside:
        return _plan([(page.spec, Precision.BF16), (page.spec, Precision.GPTQ)], [_measured(page)])
    versions = [row for group in groups if group.method == "gptq" for row in group.rows]
    best = min(versions, key=lambda row: not row.is_here, default=None)
    return versus(page, best) if best is not None else None


def versus(page: ModelPage, version: ModelRow) -> LanePlan | None:
    """A page's model in bf16 beside a quantized version of it; None where that cannot run."""
    precision = precision_of(version)
    if precision is None or page.cannot_load or page.row.quantization:
        return None
    lanes = [(page.spec, Precision.BF16), (version.spec, precision)]
    return _plan(lanes, [_measured(page), version])


def trial(page: ModelPage) -> LanePlan | None:
    """The page's model alone, in the precision it is stored in; None where it cannot run."""
    precision = precision_of(page.row)
    if precision is None or page.cannot_load:
        return None
    return _plan([(page.spec, precision)], [_measured(page)])


def _with_base(page: ModelPage) -> LanePlan | None:
    if not page.base_models:
        return None
    base = ModelSpec(page.base_models[0])
    first = _needs([_measured(page)])
    first = f"{first} and {base.source}, if it is not here yet" if first else ""
    plan = _plan([(base, Precision.BF16), (page.spec, Precision.GPTQ)], [])
    return LanePlan(plan.label, plan.lanes, first or f"{base.source}, if it is not here yet")


def _plan(lanes: Sequence[LaneChoice], rows: Sequence[ModelRow]) -> LanePlan:
    names = [precision.label.partition(" ")[0] for _, precision in lanes]
    label = f"Compare {' and '.join(names)}" if len(names) > 1 else f"Run in {names[0]}"
    return LanePlan(label, tuple(lanes), _needs(rows))


def _measured(page: ModelPage) -> ModelRow:
    """The page's row with the size of the files that are really downloaded."""
    return replace(page.row, size=page.load_bytes or page.row.size)


def _needs(rows: Sequence[ModelRow]) -> str:
    sizes = [size_text(row.size) if row.size else row.name for row in rows if not row.is_here]
    return " and ".join(sizes)
