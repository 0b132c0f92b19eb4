"""What is found out about a model before it is loaded; touches the disk, so not for slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from playground.core.errors import ModelError
from playground.core.facts import CodeConsent, EngineFacts, LoadRequest, ModelSpec
from playground.core.format import size_text
from playground.core.lane import Failure, LaneConfig
from playground.core.memory.headroom import place_of
from playground.core.memory.plan import SHORTEST, MemoryPlan, plan
from playground.core.model.checkpoint import Checkpoint, precision_reasons, read_checkpoint
from playground.core.model.remote_code import read_code
from playground.core.precision import Precision
from playground.core.quantizing.plan import read_plain


@dataclass(frozen=True)
class ModelFacts:
    """A model as the user chose it: its name, its folder's contents, what each precision lacks."""

    name: str
    checkpoint: Checkpoint
    reasons: dict[Precision, str]


@dataclass(frozen=True)
class Prepared:
    """A lane's model, ready to be sent to an engine, with what it is going to take.

    `plan` is for a short text: what it takes at least. None: not known.
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
    # Imported here: the Hub's library would cost the window a good part of its first second.
    from playground.hub.local.resolve import resolve

    resolved = resolve(spec, Precision.BF16)
    checkpoint = read_checkpoint(resolved.folder)
    return ModelFacts(resolved.name, checkpoint, precision_reasons(checkpoint, device, engine))


def prepare(
    config: LaneConfig, engine: EngineFacts | None, consents: Sequence[CodeConsent] = ()
) -> Prepared:
    """Find the folder of a lane's model; its own code runs only with one of the consents.

    Raises ModelError with the remedy.
    """
    from playground.hub.local.consent import consent_to, earlier
    from playground.hub.local.resolve import resolve

    resolved = resolve(config.model, config.precision)
    checkpoint = read_checkpoint(resolved.folder)
    reason = precision_reasons(checkpoint, config.device, engine)[config.precision]
    if reason:
        raise ModelError(reason, "Choose another precision or device for this lane.")
    agreed = None
    # Without a consent the code is of no interest: many models run without their own, too.
    if checkpoint.remote_code and earlier(resolved, consents):
        found = consent_to(resolved, read_code(resolved.folder))
        agreed = found if found in consents else None
    request = LoadRequest(
        name=resolved.name,
        folder=str(resolved.folder),
        commit=resolved.commit,
        precision=config.precision,
        device=config.device,
        environment=config.environment,
        trust_remote_code=agreed.commit if agreed else "",
        code=agreed.code if agreed else "",
    )
    place = place_of(config.device, engine)
    made = plan(checkpoint.sizes, config.precision, place, SHORTEST)
    return Prepared(request, made)


def memory_failure(prepared: Prepared, free: int | None) -> Failure | None:
    """Return the failure to show where not even a short text fits into what is free."""
    made = prepared.plan
    if free is None or made is None or made.needed <= free:
        return None
    request = prepared.request
    where = "" if request.device == "cpu" else f" on {request.device}"
    return Failure(
        f"{request.name} in {request.precision.label} takes about {size_text(made.needed)}, "
        f"{size_text(made.weights.total)} of them weights, and {size_text(free)} are "
        f"free{where}.",
        "Unload another lane or choose fewer bits, or load it anyway.",
        may_insist=True,
    )


def quantize_source(spec: ModelSpec) -> QuantizeSource:
    """Find a model to quantize. Raises ModelError where there is none, or it is quantized."""
    from playground.hub.local.resolve import resolve

    resolved = resolve(spec, Precision.BF16)
    checkpoint = read_plain(resolved.folder, resolved.name)
    return QuantizeSource(resolved.name, str(resolved.folder), resolved.commit, checkpoint)
