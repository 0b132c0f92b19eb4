"""Opens a session on a server, for every command that can use one."""

from __future__ import annotations

from collections.abc import Callable

from playground.cli.console import Console
from playground.client.environments import process_of
from playground.client.servers import request_for
from playground.client.session import Session
from playground.core.environments import REMOTE
from playground.core.facts import LoadedModel, LoadRequest
from playground.core.precision import Precision
from playground.core.protocol import Event, Progress
from playground.core.servers import KnownServer


def _ignore(_: Event) -> None:
    """Observe nothing."""


def open_session(observe: Callable[[Event], None] = _ignore) -> Session:
    """Return a session whose engine passes prompts to a server; not started yet."""
    return Session(observe, process_of(REMOTE, ()))


def load_from(session: Session, server: KnownServer, model: str, console: Console) -> LoadedModel:
    """Ask a server for a model, and return what it is; "" is its only model.

    Raises PlaygroundError.
    """
    observe = session.observe

    def show(event: Event) -> None:
        if isinstance(event, Progress):
            console.status(event.detail or event.activity.label)
        observe(event)

    session.observe = show
    try:
        request = LoadRequest(
            name=model,
            folder="",
            commit="",
            precision=Precision.SERVER,
            server=request_for(server),
        )
        return session.load(request)
    finally:
        session.observe = observe
        console.end_status()
