"""The tokens of an answer: ids, texts, times and details side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec


class Alternative(msgspec.Struct, frozen=True, array_like=True):
    """A token that the model could have given instead; `logprob` is a natural logarithm."""

    id: int
    text: str
    logprob: float


class TokenDetail(msgspec.Struct, frozen=True, array_like=True):
    """How likely a token was to the model, and the likeliest tokens at its place.

    Log-probabilities are natural logarithms under the softmax of the raw logits: at temperature 1,
    before any penalty or filter of the sampling. `rank` is 1 for the likeliest token, and the same
    for tokens of equal logits. `top` begins with the likeliest and may hold the token itself.
    """

    logprob: float
    rank: int
    top: tuple[Alternative, ...] = ()


class TokenRecord(msgspec.Struct, frozen=True):
    """Tokens in their order: ids, the text each released, and seconds since the prompt was sent.

    The three have the same length. A text may be "", where a character takes several tokens.
    `details` are parallel to them, or empty where none were asked for.
    """

    ids: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    details: tuple[TokenDetail, ...] = ()

    @classmethod
    def joined(cls, parts: Iterable[TokenRecord]) -> TokenRecord:
        """Return the tokens of all parts in their order."""
        kept = list(parts)
        return cls(
            tuple(i for part in kept for i in part.ids),
            tuple(text for part in kept for text in part.texts),
            tuple(time for part in kept for time in part.times),
            # Details that do not cover every token would belong to others.
            tuple(detail for part in kept for detail in part.details)
            if all(len(part.details) == len(part.ids) for part in kept)
            else (),
        )

    @property
    def text(self) -> str:
        return "".join(self.texts)


def detail_fields(details: Iterable[TokenDetail]) -> list[dict[str, Any]]:
    """Return the details as JSON fields, an object per token."""
    return [
        {
            "logprob": detail.logprob,
            "rank": detail.rank,
            "top": [{"id": a.id, "text": a.text, "logprob": a.logprob} for a in detail.top],
        }
        for detail in details
    ]
