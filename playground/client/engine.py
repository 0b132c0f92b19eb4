"""What a client needs of an engine, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from playground.client.outcome import Outcome
from playground.core.protocol import Command, Event


class Engine(Protocol):
    """Loads one model in its life and answers prompts; speaks in commands and events.

    Everything except `events` may be called from any thread. `start` comes first.
    """

    @property
    def pid(self) -> int:
        """The id of its process on this machine; 0 before the start and where there is none."""

    @property
    def ended(self) -> bool:
        """Whether it ran and is gone."""

    def start(self) -> None:
        """Begin. Raises EngineError where it cannot."""

    def send(self, command: Command) -> None:
        """Queue a command. Never blocks; after the engine's end it does nothing."""

    def events(self) -> Iterator[Event]:
        """Yield events until the engine's end; blocks between them. For one thread.

        Raises ProtocolError, after ending the engine, for anything that is no event.
        """

    def kill(self) -> None:
        """End it now. Does not wait; `events` ends soon after."""

    def close(self) -> Outcome:
        """End it, gently at first, and return when it is gone."""

    def outcome(self) -> Outcome:
        """How it ended, or that it still runs. Does not block."""

    def stderr_tail(self) -> str:
        """The end of what it wrote to its log, for the detail of an error."""

    def pulse(self) -> object:
        """A value that changes as long as the engine gives signs of life."""

    def memory_bytes(self) -> int:
        """Memory of this machine that its end would free; 0 where there is none."""
