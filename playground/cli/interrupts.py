"""Ctrl+C in a command: engines and builds stop first, and then the command does."""

from __future__ import annotations

import contextlib
import signal
import types
from collections.abc import Callable, Iterator, Sequence

from playground.client.session import Session


@contextlib.contextmanager
def on_interrupt(action: Callable[[], None]) -> Iterator[None]:
    """While inside, SIGINT calls the action instead of raising KeyboardInterrupt."""

    def interrupt(_: int, __: types.FrameType | None) -> None:
        action()

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


class Interrupts:
    """Whether Ctrl+C was pressed."""

    def __init__(self) -> None:
        self.requested = False


@contextlib.contextmanager
def interrupting(sessions: Sequence[Session]) -> Iterator[Interrupts]:
    """While inside, SIGINT interrupts the sessions (the list may grow) instead of raising.

    A generation stops after its current token and returns what it has. Anything else, and a
    generation at the second Ctrl+C, ends its engine.
    """
    interrupts = Interrupts()

    def interrupt() -> None:
        interrupts.requested = True
        for session in sessions:
            session.interrupt()

    with on_interrupt(interrupt):
        yield interrupts
