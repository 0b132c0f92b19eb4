"""Makes a quantized copy of a model, as a folder: `playground quantize`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import msgspec

from playground.cli.console import Console
from playground.cli.interrupts import interrupting
from playground.cli.requests import given_consents, model_here, with_trust_remedy
from playground.client.session import Session
from playground.core.errors import RemoteCodeError
from playground.core.format import human_duration, seconds_text, size_text
from playground.core.precision import Precision
from playground.core.protocol import Event, Progress, Quantizing
from playground.core.quantizing.plan import check_request, default_output, remove_partial
from playground.core.quantizing.request import Estimate, QuantizedModel, QuantizeRequest
from playground.core.system.paths import full_path
from playground.hub.local.prepare import choose_device
from playground.hub.local.resolve import Resolved
from playground.hub.source import model_spec


def quantize(args: argparse.Namespace) -> int:
    """Write the copy. Raises PlaygroundError, or Interrupted; both leave nothing behind."""
    console = Console(json=args.json)
    resolved = model_here(model_spec(args.model, args.revision), Precision.BF16, console)
    request = _request(args, resolved)
    check_request(request)  # before an engine imports its libraries for seconds
    session = Session(lambda event: _show(event, console))
    try:
        with interrupting([session]), session:
            facts = session.ready()
            device = choose_device(args.device, facts)
            request = msgspec.structs.replace(request, device=device)
            estimate = session.estimate(request)
            _print_estimate(estimate, console)
            if args.estimate:
                console.event("finished")
                return 0
            model = session.quantize(request)
    except RemoteCodeError as error:
        raise with_trust_remedy(error, resolved) from error
    finally:
        remove_partial(Path(request.output), session.engine.pid)
    console.end_status()
    _print_result(model, console)
    return 0


def _request(args: argparse.Namespace, resolved: Resolved) -> QuantizeRequest:
    consent = next(iter(given_consents(args, resolved)), None)
    request = QuantizeRequest(
        name=resolved.name,
        folder=str(resolved.folder),
        commit=resolved.commit,
        output="",
        to=Precision(args.to),
        bits=args.bits,
        group_size=args.group_size,
        act_order=args.act_order,
        symmetric=not args.asymmetric,
        calibration=str(full_path(args.calibration)) if args.calibration else "",
        samples=args.samples,
        length=args.length,
        threads=args.threads,
        trust_remote_code=consent.commit if consent else "",
        code=consent.code if consent else "",
        insist=args.insist,
    )
    output = full_path(args.output) if args.output else default_output(request)
    return msgspec.structs.replace(request, output=str(output))


def _show(event: Event, console: Console) -> None:
    if isinstance(event, Progress):
        part = f" · {event.fraction:.0%}" if event.fraction is not None else ""
        about = f" · {event.detail}" if event.detail else ""
        console.status(f"{event.activity.label}{about}{part}")
        console.event("progress", activity=event.activity, fraction=event.fraction)
    elif isinstance(event, Quantizing):
        at = event.progress
        text = f"layer {at.layer} of {at.layers}"
        if at.layer_s:
            text += f" · the last took {seconds_text(at.layer_s)}"
        if console.live:  # in a log one line a layer is enough
            text += f" · {at.fraction:.0%}"
            if at.left_s is not None:
                text += f" · about {human_duration(at.left_s)} left"
        console.status(text)
        console.event("layer", **msgspec.to_builtins(at))


def _print_estimate(estimate: Estimate, console: Console) -> None:
    console.event("estimate", **msgspec.to_builtins(estimate))
    console.note(estimate_text(estimate))
    console.note(estimate.basis)


def estimate_text(estimate: Estimate) -> str:
    """Return the estimate in one line."""
    memory, disk = size_text(estimate.memory_bytes), size_text(estimate.disk_bytes)
    costs = f"{memory} of memory and {disk} on the disk"
    if not estimate.most_s:
        return f"The copy needs about {costs}."
    least, most = human_duration(estimate.least_s), human_duration(estimate.most_s)
    time = least if least == most else f"{least} to {most}"
    return f"The copy takes about {time}, {costs}."


def _print_result(model: QuantizedModel, console: Console) -> None:
    console.event("finished", **msgspec.to_builtins(model))
    console.print(model.folder)
    console.note(
        f"{size_text(model.weight_bytes)} of weights (from {size_text(model.source_bytes)}) in "
        f"{human_duration(model.seconds)}, at most {size_text(model.peak_memory_bytes)} of memory. "
        f"Run it: playground run --model {shlex.quote(model.folder)} "
        f"--precision {model.precision} --prompt …"
    )
