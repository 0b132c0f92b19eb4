"""What is found out about a model before it is loaded; touches the disk, so not for slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from playground.core.errors import ModelError
from playground.core.facts import EngineFacts, LoadedModel, LoadRequest, ModelSpec
from playground.core.lane import Failure, LaneConfig
from playground.core.memory.corrections import learned
from playground.core.memory.plan import SHORTEST, MemoryPlan, Place, plan, tokens_left
from playground.core.model.checkpoint import Checkpoint, precision_reasons, read_checkpoint
from playground.core.model.remote_code import CodeConsent, read_code
from playground.core.precision import Precision
from playground.core.system.machine import machine_memory


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

    Raises ModelError with the cure.
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


def place_of(device: str, engine: EngineFacts | None) -> Place:
    """What an engine found of a device, and what loads there taught. Reads a small file."""
    found = [d for d in engine.devices if d.id == device] if engine else []
    if engine is None or not found:
        return Place(device=device)
    return Place(
        device=device,
        capability=found[0].capability,
        process=engine.process_bytes,
        learned=learned(found[0].name),
    )


def free_bytes(device: str, engine: EngineFacts | None) -> int | None:
    """Memory free for a model: on the CPU now, elsewhere when the engine looked; None: unknown."""
    if device == "cpu":
        return machine_memory().free
    found = [d.free_bytes for d in engine.devices if d.id == device] if engine else []
    return found[0] if found else None


def resident_bytes(pid: int) -> int:
    """Memory a process holds now, shared pages included; 0 where it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else 0
    except psutil.Error:
        return 0


def memory_failure(prepared: Prepared, free: int | None) -> Failure | None:
    """Return the failure to show where not even a short text fits into what is free."""
    made = prepared.plan
    if free is None or made is None or made.needed <= free:
        return None
    request = prepared.request
    where = "" if request.device == "cpu" else f" on {request.device}"
    return Failure(
        f"{request.name} in {request.precision.label} takes about {human_bytes(made.needed)}, "
        f"{human_bytes(made.weights.total)} of them weights, and {human_bytes(free)} are "
        f"free{where}.",
        "Unload another lane or choose fewer bits, or load it anyway.",
        may_insist=True,
    )


def freed_text(main_memory: int, loaded: LoadedModel | None) -> str:
    """What came back with a process: measured in it just before its end; "" if it was not."""
    if not main_memory:
        return ""
    device = ""
    if loaded is not None and loaded.request.device != "cpu":
        device = f"{human_bytes(loaded.memory_bytes)} on {loaded.request.device} and "
    return f"Freed {device}{human_bytes(main_memory)}; the process is gone."


@dataclass(frozen=True)
class Room:
    """What a loaded model has left: `left` tokens, None where neither limit is known."""

    left: int | None
    used: int
    context: int
    token_bytes: int  # of the cache
    free: int | None


def room(loaded: LoadedModel, used: int, free: int | None) -> Room:
    """How many more tokens fit beside the `used` ones, into the context and the free memory."""
    token_bytes = loaded.floor.cache_bytes if loaded.floor and free is not None else 0
    left = tokens_left(token_bytes, max(0, free or 0), used, loaded.context_length)
    return Room(left, used, loaded.context_length, token_bytes, free)


def human_bytes(count: int) -> str:
    """Bytes for people: "312 MB", "13.2 GB"; powers of ten, as in the figures of memory."""
    if count < 1_000_000:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.0f} MB" if count < 1_000_000_000 else f"{count / 1e9:.1f} GB"
