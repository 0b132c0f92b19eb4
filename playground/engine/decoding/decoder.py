"""Decoders: from a prompt's ids to new tokens, one at a time, each with the time it was ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from playground.core.generation import GenerationOptions
from playground.engine.decoding.interruption import ShouldStop

#: Called with each token's id and the time.monotonic() at which it was on the host.
OnToken = Callable[[int, float], None]


@dataclass(frozen=True)
class Decoded:
    """How a generation ended.

    `began` is the time.monotonic() at which the model's work began; `reused` counts the prompt's
    tokens that were in the KV cache already.
    """

    stop_reason: str  # "length", "eos", or what ShouldStop said
    began: float
    reused: int = 0


#: Called with what a decoder does next while it prepares itself. May raise, to stop it.
Tell = Callable[[str], None]


def silent(what: str) -> None:
    """Report to nobody."""


class Decoder(Protocol):
    """Generates tokens. `name` goes into the stamp."""

    @property
    def name(self) -> str: ...

    def prepare(
        self, prompt_tokens: int, new_tokens: int, tell: Tell, should_stop: ShouldStop
    ) -> str:
        """Do what the first text of this length needs, before its time counts.

        Return the reason to stop, "" where everything is ready.
        """
        ...

    def decode(
        self,
        ids: Sequence[int],
        options: GenerationOptions,
        limit: int,
        on_token: OnToken,
        should_stop: ShouldStop,
        reuse: bool = False,
    ) -> Decoded:
        """Continue `ids` by at most `limit` tokens; seeds the sampling from the options.

        With `reuse` the start that `ids` shares with the last call need not be read again.
        """
        ...


class Unprepared:
    """A decoder that has nothing to prepare."""

    def prepare(
        self, prompt_tokens: int, new_tokens: int, tell: Tell, should_stop: ShouldStop
    ) -> str:
        """Return "": everything is ready."""
        return ""
