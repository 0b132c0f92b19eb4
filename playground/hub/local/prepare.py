"""What window and command line do with a model before an engine loads it.

Everything here reads the disk, so it must not run on the GUI thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from playground.core.errors import ModelError
from playground.core.facts import CodeConsent, EngineFacts, LoadRequest, ModelSpec
from playground.core.lane import Failure, LaneConfig
from playground.core.memory.headroom import budget_on
from playground.core.memory.plan import SHORTEST, MemoryPlan, plan, shortage
from playground.core.model.checkpoint import (
    Checkpoint,
    precision_reasons,
    precision_remedy,
    read_checkpoint,
)
from playground.core.model.remote_code import read_code
from playground.core.precision import Precision
from playground.core.quantizing.plan import read_plain
from playground.hub.local.consent import consent_to, earlier
from playground.hub.local.resolve import Resolved, resolve


@dataclass(frozen=True)
class ModelFacts:
    """A model's name, the contents of its folder, and for each precision why it cannot be had.

    A reason of "" means that the model can be loaded in that precision.
    """

    name: str
    checkpoint: Checkpoint
    reasons: dict[Precision, str]


@dataclass(frozen=True)
class Prepared:
    """A model ready to be sent to an engine, and the memory it is going to take.

    `plan` is for the shortest useful context: the least that a load needs. None: not known.
    """

    request: LoadRequest
    plan: MemoryPlan | None = None


@dataclass(frozen=True)
class QuantizeSource:
    """A model on this machine that can be quantized."""

    name: str
    folder: str
    commit: str
    checkpoint: Checkpoint


def look_at(spec: ModelSpec, device: str, engine: EngineFacts | None) -> ModelFacts:
    """Describe a model. Raises ModelError where it cannot be loaded at all."""
    resolved = resolve(spec, Precision.BF16)
    checkpoint = read_checkpoint(resolved.folder)
    return ModelFacts(resolved.name, checkpoint, precision_reasons(checkpoint, device, engine))


def choose_device(asked: str, engine: EngineFacts) -> str:
    """Return the device asked for, or the first GPU, else the CPU, where `asked` is "".

    "cuda" means the first GPU, as in torch. Raises ModelError for a device that is not there.
    """
    present = [device.id for device in engine.devices]
    if not asked:
        return next((id_ for id_ in present if id_ != "cpu"), "cpu")
    device = "cuda:0" if asked == "cuda" else asked
    if device not in present:
        raise ModelError(
            f"There is no device {device} here.", f"Choose one of: {', '.join(present)}."
        )
    return device


def check_precision(
    checkpoint: Checkpoint,
    precision: Precision,
    device: str = "",
    engine: EngineFacts | None = None,
) -> None:
    """Raise ModelError where a model cannot be loaded in a precision, with those that can.

    Without an engine's facts only the model's own reasons count.
    """
    reasons = precision_reasons(checkpoint, device, engine)
    if reason := reasons[precision]:
        possible = [other for other, why in reasons.items() if not why]
        raise ModelError(reason, precision_remedy(checkpoint, possible))


def prepare(
    config: LaneConfig, engine: EngineFacts | None, consents: Sequence[CodeConsent] = ()
) -> Prepared:
    """Find a lane's model and prepare its load, as `prepare_load` does. Raises ModelError."""
    return prepare_load(
        resolve(config.model, config.precision),
        config.precision,
        config.device,
        engine,
        consents,
        environment=config.environment,
    )


def prepare_load(
    resolved: Resolved,
    precision: Precision,
    device: str,
    engine: EngineFacts | None,
    consents: Sequence[CodeConsent] = (),
    *,
    environment: str = "",
) -> Prepared:
    """Check that a model can be loaded, and return the request with its memory plan.

    The model's own code runs only where one of the consents is to this code. `engine` is what
    an engine of the environment found, None while that is unknown. Raises ModelError.
    """
    if engine is not None:
        choose_device(device, engine)
    checkpoint = read_checkpoint(resolved.folder)
    check_precision(checkpoint, precision, device, engine)
    agreed = None
    # Code is read only where there is a consent: many models run without their own code, too.
    if checkpoint.remote_code and earlier(resolved, consents):
        found = consent_to(resolved, read_code(resolved.folder))
        agreed = found if found in consents else None
    request = LoadRequest(
        name=resolved.name,
        folder=str(resolved.folder),
        commit=resolved.commit,
        precision=precision,
        device=device,
        environment=environment,
        trust_remote_code=agreed.commit if agreed else "",
        code=agreed.code if agreed else "",
    )
    return Prepared(request, plan(checkpoint.sizes, precision, budget_on(device, engine), SHORTEST))


def memory_failure(prepared: Prepared, free: int | None) -> Failure | None:
    """Return the failure to show where not even a short text fits into `free` bytes."""
    planned = prepared.plan
    if free is None or planned is None or planned.needed <= free:
        return None
    refusal = shortage(prepared.request.name, planned, free)
    return Failure(refusal.message, refusal.remedy, may_insist=True)


def quantize_source(spec: ModelSpec) -> QuantizeSource:
    """Find a model to quantize. Raises ModelError where there is none, or it is quantized."""
    resolved = resolve(spec, Precision.BF16)
    checkpoint = read_plain(resolved.folder, resolved.name)
    return QuantizeSource(resolved.name, str(resolved.folder), resolved.commit, checkpoint)
