"""Turns a stream of token ids into text, without incomplete characters and stop strings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transformers import PreTrainedTokenizerBase

_BROKEN = "\ufffd"
#: A character has at most four bytes, so at most three can be incomplete.
_MAX_INCOMPLETE = 3
#: Text that is still broken after this many tokens will not become whole.
_MAX_PENDING = 32


class Detokenizer:
    """Decodes only the last few tokens together: the cost of a token is the same at any length."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._window: list[int] = []  # tokens decoded together: context, then pending ones
        self._context = 0  # tokens at the start of the window whose text was returned
        self._sent = 0  # characters of the window's text that were returned

    def feed(self, token_id: int) -> str:
        """Return the text the token completes; "" while a character is incomplete."""
        self._window.append(token_id)
        text = self._decode(self._window)
        whole = _without_incomplete(text)
        piece = whole[self._sent :]
        pending = len(self._window) - self._context
        if whole == text and piece:
            self._advance()
        elif pending >= _MAX_PENDING:
            piece = text[self._sent :]
            self._advance()
        else:
            self._sent += len(piece)
        return piece

    def flush(self) -> str:
        """Return the text that was held back, incomplete characters as they are."""
        text = self._decode(self._window) if self._window else ""
        piece = text[self._sent :]
        self._sent = max(self._sent, len(text))
        return piece

    def _advance(self) -> None:
        # The last tokens stay as context: decoders treat the start of a text specially, for
        # example drop its leading space.
        self._window = self._window[self._context :]
        self._context = len(self._window)
        self._sent = len(self._decode(self._window))


def _without_incomplete(text: str) -> str:
    """Cut broken characters off the end that later bytes may still complete."""
    if not text.endswith(_BROKEN):
        return text
    kept = text.rstrip(_BROKEN)
    return text[: max(len(kept), len(text) - _MAX_INCOMPLETE)]


class StopFilter:
    """Passes text on up to the first stop string; holds back only what may begin one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._longest = max(map(len, self._stops), default=0)
        self._withheld = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        """Return the text that is certain; set `stopped` once a stop string is complete."""
        if not self._stops:
            return piece
        if self.stopped or not piece:
            return ""
        text = self._withheld + piece
        ends = [at for at in (text.find(stop) for stop in self._stops) if at >= 0]
        if ends:
            self.stopped = True
            self._withheld = ""
            return text[: min(ends)]
        length = self._possible_start(text)
        self._withheld = text[len(text) - length :]
        return text[: len(text) - length]

    def flush(self) -> str:
        """Return what was held back for a stop string that did not come."""
        withheld, self._withheld = self._withheld, ""
        return withheld

    def _possible_start(self, text: str) -> int:
        for length in range(min(len(text), self._longest - 1), 0, -1):
            end = text[-length:]
            if any(stop.startswith(end) for stop in self._stops):
                return length
        return 0


def decode_function(tokenizer: PreTrainedTokenizerBase) -> Callable[[Sequence[int]], str]:
    """Return the tokenizer's fastest function from ids to text without special tokens."""
    backend = getattr(tokenizer, "backend_tokenizer", None) or getattr(
        tokenizer, "_tokenizer", None
    )
    if backend is not None and hasattr(backend, "decode"):
        # This takes a tenth of the time of the wrapper's decode.
        return lambda ids: str(backend.decode(list(ids), skip_special_tokens=True))
    return lambda ids: str(
        tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    )
