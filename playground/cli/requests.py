"""From what the command line names to a request that an engine can load."""

from __future__ import annotations

import signal
import types
from typing import TypeVar

import msgspec

from playground.cli.console import Console
from playground.core.errors import ModelError, OptionsError, RemoteCodeError
from playground.core.facts import EngineFacts, LoadRequest, ModelSpec
from playground.core.format import size_text
from playground.core.model.checkpoint import precision_reasons, read_checkpoint
from playground.core.model.remote_code import check_reviewable, read_code
from playground.core.precision import Precision
from playground.core.quantize import QuantizeRequest
from playground.hub.downloads.download import Download
from playground.hub.downloads.events import Advanced, Broken, Cancelled, Planned
from playground.hub.local.cache import find_cached
from playground.hub.local.resolve import Resolved, resolve
from playground.hub.source import SourceKind, kind_of, parse_hub_id

RequestT = TypeVar("RequestT", LoadRequest, QuantizeRequest)


def model_spec(source: str, revision: str = "") -> ModelSpec:
    """The model a command line names: "bundled", a folder, or an id, owner/name@revision too.

    Raises ModelError for no possible id, OptionsError for a revision of what has none.
    """
    if kind_of(source) is not SourceKind.HUB:
        if revision:
            raise OptionsError(
                f"{source} is no Hub model and has no revision {revision}.",
                "Leave out --revision.",
            )
        return ModelSpec(source)
    spec = parse_hub_id(source)
    return ModelSpec(spec.source, revision or spec.revision)


def model_here(spec: ModelSpec, precision: Precision, console: Console) -> Resolved:
    """The folder of a model for a precision, after a download where one is needed.

    Raises ModelError where there is none.
    """
    if kind_of(spec.source) is SourceKind.HUB:
        cached = find_cached(spec.source, spec.revision)
        if cached is None or cached.problem:
            _download(spec, console)
    return resolve(spec, precision)


def local_model(spec: ModelSpec, precision: Precision, console: Console) -> Resolved:
    """The same, for a precision that the model can have; raises ModelError where it cannot."""
    resolved = model_here(spec, precision, console)
    reason = precision_reasons(read_checkpoint(resolved.folder), "", None)[precision]
    if reason:
        raise ModelError(reason, _other_precisions(resolved))
    return resolved


def check_here(resolved: Resolved, precision: Precision, device: str, facts: EngineFacts) -> None:
    """Raise ModelError where this machine cannot run the model at the precision."""
    if all(device != known.id for known in facts.devices):
        known = ", ".join(d.id for d in facts.devices)
        raise ModelError(f"There is no device {device} here.", f"Choose one of: {known}.")
    reason = precision_reasons(read_checkpoint(resolved.folder), device, facts)[precision]
    if reason:
        raise ModelError(f"{precision.label} is not available here: {reason}")


def tell_slowness(precision: Precision, device: str, facts: EngineFacts, console: Console) -> None:
    """Say before a load that the precision is slow on the device, in JSON mode too."""
    capability = next((known.capability for known in facts.devices if known.id == device), "")
    if reason := precision.slowness_on(device, capability):
        console.warn(f"{precision.label}: {reason}")


def chosen_device(asked: str, facts: EngineFacts) -> str:
    """The device asked for, else the first GPU, else the processor."""
    if asked:
        # "cuda" means the first one, as torch has it.
        return "cuda:0" if asked == "cuda" else asked
    gpus = [d.id for d in facts.devices if d.id != "cpu"]
    return gpus[0] if gpus else "cpu"


def load_request(
    resolved: Resolved, precision: Precision, device: str, threads: int
) -> LoadRequest:
    """The request for an engine."""
    return LoadRequest(
        name=resolved.name,
        folder=str(resolved.folder),
        commit=resolved.commit,
        precision=precision,
        device=device,
        threads=threads,
    )


def with_trust(request: RequestT, resolved: Resolved, commit: str) -> RequestT:
    """The request with the user's word that the code of this commit may run, "" is no word.

    Raises ModelError where the model's code is of another commit, or not the model's own.
    """
    if not commit:
        return request
    code = read_code(resolved.folder)
    check_reviewable(code)
    if commit != resolved.commit:
        raise ModelError(
            f"The code of {resolved.name} is of commit {resolved.commit}, not of {commit}.",
            f"Look at it in {resolved.folder}, and name that commit if you trust it.",
        )
    return msgspec.structs.replace(request, trust_remote_code=commit, code=code.digest)


def asked_for_trust(error: RemoteCodeError, resolved: Resolved) -> ModelError:
    """The error with what to do about it on a command line."""
    return ModelError(
        error.message,
        f"Look at the code in {resolved.folder}, and if you trust it, add "
        f"`--trust-remote-code {resolved.commit}`.",
        error.detail,
    )


def _other_precisions(resolved: Resolved) -> str:
    reasons = precision_reasons(read_checkpoint(resolved.folder), "", None)
    others = ", ".join(p.value for p, reason in reasons.items() if not reason)
    return f"It can be had in: {others}." if others else ""


def _download(spec: ModelSpec, console: Console) -> None:
    """Bring a Hub model here; Ctrl+C cancels. Raises ModelError in the download's words."""
    download = Download(spec)

    def cancel(_: int, __: types.FrameType | None) -> None:
        download.cancel()

    previous = signal.signal(signal.SIGINT, cancel)
    try:
        download.start()
        for event in download.events():
            match event:
                case Planned():
                    console.event("download", total_bytes=event.total_bytes)
                    console.note(f"Downloading {spec.source}: {size_text(event.total_bytes)}.")
                case Advanced():
                    done, total = size_text(event.done_bytes), size_text(event.total_bytes)
                    console.status(f"downloading · {done} of {total}")
                case Broken():
                    raise ModelError(event.message, event.remedy, event.detail)
                case Cancelled():
                    raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, previous)
        console.end_status()
