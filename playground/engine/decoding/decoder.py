"""What a decoder is: it continues a prompt's ids, and reports each token with its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from playground.core.generation import GenerationOptions
from playground.engine.decoding.interruption import ShouldStop

#: Called with each token's id and the time.monotonic() at which it was on the host.
OnToken = Callable[[int, float], None]
#: Called before each token with the logits [1, vocabulary] that it is sampled from, as the model
#: gives them. The receiver may keep the tensor. The last call may have no token.
OnLogits = Callable[[torch.Tensor], None]

#: The stop reason where the logits are NaN or infinite, as after an overflow: no token follows.
NOT_NUMBERS = "not numbers"


@dataclass(frozen=True)
class Decoded:
    """How a generation ended.

    `began` is the time.monotonic() at which the prefill began; `reused` counts the prompt's
    tokens that were in the KV cache.
    """

    stop_reason: str  # "length", "eos", NOT_NUMBERS, or what ShouldStop returned
    began: float
    reused: int = 0


#: Called with what a decoder's preparation does next, for the user. May raise to stop it.
Tell = Callable[[str], None]


def silent(what: str) -> None:
    """Report nothing."""


class Decoder(Protocol):
    """Generates tokens. `name` goes into the stamp."""

    @property
    def name(self) -> str: ...

    def prepare(
        self, prompt_tokens: int, new_tokens: int, tell: Tell, should_stop: ShouldStop
    ) -> str:
        """Do one-time work, such as capturing, for texts of this length, before timing begins.

        Return the reason to stop, "" if the decoder is ready.
        """
        ...

    def decode(
        self,
        ids: Sequence[int],
        options: GenerationOptions,
        limit: int,
        on_token: OnToken,
        should_stop: ShouldStop,
        reuse: int = 0,
        on_logits: OnLogits | None = None,
    ) -> Decoded:
        """Continue `ids` by at most `limit` tokens; seed the sampling from the options.

        A decoder with a KV cache skips the prefix that `ids` shares with the last call's tokens,
        of at most `reuse` tokens.
        """
        ...

    def logits_after(self, ids: Sequence[int], should_stop: ShouldStop) -> Iterator[torch.Tensor]:
        """Yield logits [1, vocabulary] after each of `ids`, read one by one as in decoding.

        A yielded tensor is valid until the next one. Raises InterruptedForwardError once
        `should_stop` says so.
        """
        ...


class Unprepared:
    """Base of decoders that need no preparation."""

    def prepare(
        self, prompt_tokens: int, new_tokens: int, tell: Tell, should_stop: ShouldStop
    ) -> str:
        """Return "": the decoder is ready."""
        return ""
