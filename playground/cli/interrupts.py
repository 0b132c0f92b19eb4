"""Ctrl+C in a command that has engines: they stop, and then the command does."""

from __future__ import annotations

import contextlib
import signal
import types
from collections.abc import Iterator, Sequence

from playground.client.session import Session


class Interrupts:
    """Whether Ctrl+C was pressed."""

    def __init__(self) -> None:
        self.asked = False


@contextlib.contextmanager
def interrupting(sessions: Sequence[Session]) -> Iterator[Interrupts]:
    """While inside, SIGINT interrupts the sessions (the list may grow) instead of raising.

    A generation stops after its current token and gives back what it has; everything else,
    and a generation at the second Ctrl+C, ends its engine.
    """
    interrupts = Interrupts()

    def interrupt(_: int, __: types.FrameType | None) -> None:
        interrupts.asked = True
        for session in sessions:
            session.interrupt()

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, previous)
