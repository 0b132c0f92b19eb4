"""Loads models for the commands: one, or several precisions each in an engine of its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from playground.cli.console import Console
from playground.cli.figures import loaded_fields, what_runs
from playground.cli.requests import given_consents, local_model, warn_if_slow, with_trust_remedy
from playground.client.session import Session
from playground.core.choices import DecoderChoice
from playground.core.errors import PlaygroundError, RemoteCodeError
from playground.core.facts import LoadedModel, ModelSpec
from playground.core.precision import Precision
from playground.core.protocol import Event, Progress
from playground.hub.local.prepare import choose_device, prepare_load
from playground.hub.local.resolve import Resolved


def load_model(
    session: Session,
    resolved: Resolved,
    precision: Precision,
    args: argparse.Namespace,
    console: Console,
    *,
    prefix: str = "",
    decoder: DecoderChoice = "auto",
    environment: str = "",
) -> LoadedModel:
    """Load a model as the command line asks; print what really runs, each line after `prefix`.

    Raises PlaygroundError where it cannot be loaded.
    """
    facts = session.ready()
    device = choose_device(args.device, facts)
    consents = given_consents(args, resolved)
    prepared = prepare_load(resolved, precision, device, facts, consents, environment=environment)
    warn_if_slow(precision, device, facts, console)
    try:
        loaded = session.load(
            msgspec.structs.replace(prepared.request, threads=args.threads, decoder=decoder)
        )
    except RemoteCodeError as error:
        raise with_trust_remedy(error, resolved) from error
    console.event("loaded", **loaded_fields(loaded))
    for text in (what_runs(loaded), *loaded.notes):
        console.note(f"{prefix}{text}")
    return loaded


class Lane:
    """One precision's session; `failure` says why it has no `loaded` model, or stopped."""

    def __init__(self, precision: Precision, args: argparse.Namespace, console: Console) -> None:
        self.precision = precision
        self.session = Session(self._observe)
        self.resolved: Resolved | None = None  # None where the model has no such precision
        self.loaded: LoadedModel | None = None
        self.failure: PlaygroundError | None = None
        self._args = args
        self._console = console

    def load(self) -> None:
        """Load the model; a failure is printed and kept, so that the other lanes go on."""
        if self.resolved is None:
            return
        try:
            self.loaded = load_model(
                self.session,
                self.resolved,
                self.precision,
                self._args,
                self._console,
                prefix=f"{self.precision.value}: ",
            )
        except PlaygroundError as error:
            self.fail(error)
            return
        if self.loaded.mismatch:
            self._console.warn(self.loaded.mismatch)

    def fail(self, error: PlaygroundError) -> None:
        """Print a failure, and take the lane out of what follows."""
        self.failure = error
        self.session.close()
        self._console.end_status()
        self._console.warn(f"{self.precision.value}: {' '.join(str(error).split())}")
        self._console.event(
            "lane failed",
            precision=self.precision,
            message=error.message,
            remedy=error.remedy,
            detail=error.detail,
        )

    def _observe(self, event: Event) -> None:
        # Progress of a generation is the plan's to print.
        if isinstance(event, Progress) and self.loaded is None:
            self._console.status(f"{self.precision.value}: {event.activity.label}")


def open_lanes(
    stack: ExitStack,
    spec: ModelSpec,
    precisions: Sequence[Precision],
    args: argparse.Namespace,
    sessions: list[Session],
    console: Console,
) -> list[Lane]:
    """Start one lane a precision; return them all, those that failed too.

    Engines import their libraries side by side; the models are loaded later, one after the
    other. A precision that the model cannot have is a lane that failed. Raises PlaygroundError
    where it can have none of them.
    """
    lanes = [Lane(precision, args, console) for precision in precisions]
    refused: dict[Lane, PlaygroundError] = {}
    for lane in lanes:
        try:
            lane.resolved = local_model(spec, lane.precision, console)
        except PlaygroundError as error:
            refused[lane] = error
    if len(refused) == len(lanes):
        raise refused[lanes[0]]
    for lane, reason in refused.items():
        lane.fail(reason)
    for lane in lanes:
        if lane.failure is None:
            sessions.append(lane.session)
            stack.enter_context(lane.session)
    return lanes
