"""The tokens of an answer: ids, texts and times side by side."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class TokenRecord(msgspec.Struct, frozen=True):
    """Tokens in their order: ids, the text each released, and seconds since the prompt was sent.

    The three have the same length. A text may be "", where a character takes several tokens.
    """

    ids: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    times: tuple[float, ...] = ()

    @classmethod
    def joined(cls, parts: Iterable[TokenRecord]) -> TokenRecord:
        """Return the tokens of all parts in their order."""
        kept = list(parts)
        return cls(
            tuple(i for part in kept for i in part.ids),
            tuple(text for part in kept for text in part.texts),
            tuple(time for part in kept for time in part.times),
        )

    @property
    def text(self) -> str:
        return "".join(self.texts)
