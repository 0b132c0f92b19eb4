"""Finds or downloads the model that a command names, and handles consents to its code."""

from __future__ import annotations

import argparse

from playground.cli.console import Console
from playground.core.errors import ModelError, RemoteCodeError
from playground.core.facts import CodeConsent, EngineFacts, ModelSpec
from playground.core.format import human_duration, size_text
from playground.core.model.checkpoint import read_checkpoint
from playground.core.model.remote_code import read_code
from playground.core.precision import Precision
from playground.hub.downloads.fetch import fetch
from playground.hub.downloads.items import DownloadItem, DownloadState
from playground.hub.local.consent import code_version, consent_to_commit
from playground.hub.local.prepare import check_precision
from playground.hub.local.resolve import Resolved, missing, resolve


def model_here(spec: ModelSpec, precision: Precision, console: Console) -> Resolved:
    """Return the folder of a model, after a download where it is missing. Raises ModelError."""
    announced = False

    def observe(item: DownloadItem) -> None:
        nonlocal announced
        if item.total_bytes and not announced:
            announced = True
            console.event("download", total_bytes=item.total_bytes)
            console.note(f"Downloading {item.key}: {size_text(item.total_bytes)}.")
        show_download(item, console)

    if needed := missing([spec]):
        try:
            fetch(needed, observe)
        finally:
            console.end_status()
    return resolve(spec, precision)


def local_model(spec: ModelSpec, precision: Precision, console: Console) -> Resolved:
    """Return the folder as `model_here` does. Raises ModelError for a precision it cannot have."""
    resolved = model_here(spec, precision, console)
    check_precision(read_checkpoint(resolved.folder), precision)
    return resolved


def show_download(item: DownloadItem, console: Console) -> None:
    """Show the progress of a download on stderr."""
    if item.state is DownloadState.RUNNING:
        left = item.remaining_s
        time = "" if left is None else f" · about {human_duration(left)} left"
        done, total = size_text(item.done_bytes), size_text(item.total_bytes)
        console.status(f"downloading {item.key} · {done} of {total}{time}")
    elif item.state is DownloadState.RETRYING:
        console.note(f"{item.key}: {item.message} It is retried automatically.")


def warn_if_slow(precision: Precision, device: str, facts: EngineFacts, console: Console) -> None:
    """Say before a load that the precision is slow on the device.

    In JSON mode only where every token is slow, not where only long prompts are.
    """
    capability = next((known.capability for known in facts.devices if known.id == device), "")
    if reason := precision.slowness_on(device, capability):
        warns = precision.is_unpacked_on(device, capability)
        tell = console.warn if warns else console.note
        tell(f"{precision.label}: {reason}")


def given_consents(args: argparse.Namespace, resolved: Resolved) -> tuple[CodeConsent, ...]:
    """Return the consent that --trust-remote-code gives, if any. Raises ModelError."""
    commit = args.trust_remote_code
    return (consent_to_commit(resolved, commit),) if commit else ()


def with_trust_remedy(error: RemoteCodeError, resolved: Resolved) -> ModelError:
    """Return the error with the remedy for a command line."""
    return ModelError(
        error.message,
        f"Look at the code in {resolved.folder}, and if you trust it, add "
        f"`--trust-remote-code {code_version(resolved, read_code(resolved.folder))}`.",
        error.detail,
    )
