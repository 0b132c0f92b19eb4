"""Several precisions of one model, each in an engine of its own, for bench and demo."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack

from playground.cli.console import Console
from playground.cli.figures import loaded_fields, what_runs
from playground.cli.requests import (
    asked_for_trust,
    check_here,
    chosen_device,
    load_request,
    local_model,
    tell_slowness,
    with_trust,
)
from playground.client.session import Session
from playground.core.errors import PlaygroundError, RemoteCodeError
from playground.core.facts import LoadedModel, ModelSpec
from playground.core.precision import Precision
from playground.core.protocol import Event, Progress
from playground.hub.local.resolve import Resolved


class Lane:
    """One precision's session; `failure` says why it has no `loaded` model, or stopped."""

    def __init__(self, precision: Precision, console: Console) -> None:
        self.precision = precision
        self.session = Session(self._observe)
        self.loaded: LoadedModel | None = None
        self.failure: PlaygroundError | None = None
        self._console = console

    def load(self, resolved: Resolved, args: argparse.Namespace) -> None:
        """Load the model; a failure is told and kept, the other lanes go on."""
        try:
            facts = self.session.ready()
            device = chosen_device(args.device, facts)
            check_here(resolved, self.precision, device, facts)
            tell_slowness(self.precision, device, facts, self._console)
            request = load_request(resolved, self.precision, device, args.threads)
            self.loaded = self.session.load(with_trust(request, resolved, args.trust_remote_code))
        except PlaygroundError as error:
            if isinstance(error, RemoteCodeError):
                error = asked_for_trust(error, resolved)
            self.fail(error)
            return
        self._console.event("loaded", **loaded_fields(self.loaded))
        self._console.note(f"{self.precision.value}: {what_runs(self.loaded)}")
        for note in self.loaded.notes:
            self._console.note(f"{self.precision.value}: {note}")
        if self.loaded.mismatch:
            self._console.warn(self.loaded.mismatch)

    def fail(self, error: PlaygroundError) -> None:
        """Tell a failure, and take the lane out of what follows."""
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
        # Progress of a generation is the runs' to tell.
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
    """Start and load one lane a precision; return those that loaded and those that failed.

    Engines import their libraries side by side and then load one after the other. A precision
    that the model cannot have is a lane that failed. Raises PlaygroundError where it can have
    none of them.
    """
    lanes = [Lane(precision, console) for precision in precisions]
    found: dict[Lane, Resolved] = {}
    refused: dict[Lane, PlaygroundError] = {}
    for lane in lanes:
        try:
            found[lane] = local_model(spec, lane.precision, console)
        except PlaygroundError as error:
            refused[lane] = error
    if not found:
        raise refused[lanes[0]]
    for lane, reason in refused.items():
        lane.fail(reason)
    for lane in found:
        sessions.append(lane.session)
        stack.enter_context(lane.session)
    for lane, resolved in found.items():
        lane.load(resolved, args)
    console.end_status()
    return lanes
