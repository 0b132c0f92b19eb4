"""Turns a stream of token ids into text, in pieces that no later token changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from playground.core.errors import ModelError

_BROKEN = "\ufffd"
#: A character has at most four bytes, so at most three can be incomplete.
_MAX_INCOMPLETE = 3
#: Text that is still broken after this many tokens will not become whole.
_MAX_PENDING = 32
#: A run of byte tokens is held back to its end, or to this length: some 20 characters.
_MAX_RUN = 64
#: Ids among which a letter is looked for: vocabularies begin with bytes and letters.
_SEARCHED = 2000


@dataclass(frozen=True)
class TokenTexts:
    """How a tokenizer turns ids into text.

    `decode` leaves out the special tokens, `special`, here with their texts, and ids that are not
    `known`: a model can have more embeddings than its tokenizer tokens. `bytes` are the ids of
    byte tokens, such as <0x0A>: a run of them decodes to one \ufffd a byte unless the whole run
    is valid UTF-8, so each further byte can change the text of the run.
    """

    decode: Callable[[Sequence[int]], str]
    special: Mapping[int, str] = field(default_factory=dict)
    bytes: frozenset[int] = frozenset()
    known: Callable[[int], bool] = lambda _: True


class TokenNames:
    """The texts of single tokens as they appear inside a text, with a leading space for example."""

    def __init__(self, tokens: TokenTexts) -> None:
        self._tokens = tokens
        self._known: dict[int, str] = {}
        # Decoders treat the start of a text specially, so each token follows a letter.
        self._before = next((i for i in range(_SEARCHED) if self._is_letter(i)), None)

    def __getitem__(self, token_id: int) -> str:
        """Return a token's text: "" of an unknown one, \ufffd of a part of a character."""
        text = self._known.get(token_id)
        if text is None:
            text = self._known[token_id] = self._text(token_id)
        return text

    def _text(self, token_id: int) -> str:
        if token_id in self._tokens.special:
            return self._tokens.special[token_id]
        if not self._tokens.known(token_id):
            return ""
        if self._before is None:
            return self._tokens.decode([token_id])
        return self._tokens.decode([self._before, token_id])[1:]

    def _is_letter(self, token_id: int) -> bool:
        usable = self._tokens.known(token_id) and token_id not in self._tokens.special
        text = self._tokens.decode([token_id]) if usable else ""
        return len(text) == 1 and text.isascii() and text.isalpha()


class Detokenizer:
    """Decodes only the last few tokens together: the cost of a token is the same at any length.

    The pieces join to the text of all ids decoded at once. One exception is a run of valid byte
    tokens so long that it is returned in parts: a byte that breaks it later breaks only its part.
    """

    def __init__(self, tokens: TokenTexts) -> None:
        self._decode = tokens.decode
        self._tokens = tokens
        self._window: list[int] = []  # tokens decoded together: context, then pending ones
        self._context = 0  # tokens at the start of the window whose text was returned
        self._sent = 0  # characters of the window's text that were returned

    def feed(self, token_id: int) -> str:
        """Return the text that the token makes certain; "" while later tokens may change it."""
        if token_id in self._tokens.special or not self._tokens.known(token_id):
            return ""
        self._window.append(token_id)
        pending = len(self._window) - self._context
        if token_id in self._tokens.bytes:
            return self._split_run() if pending == _MAX_RUN else ""
        text = self._decode(self._window)
        whole = _without_incomplete(text)
        piece = whole[self._sent :]
        held = len(text) - len(whole)
        if (piece and not held) or pending >= _MAX_PENDING:
            self._advance(held)
        else:
            self._sent += len(piece)
        return piece

    def flush(self) -> str:
        """Return the text that was held back, incomplete characters as they are."""
        return self._send(self._decode(self._window) if self._window else "")

    def flush_whole(self) -> str:
        """Return the whole characters that were held back, although later bytes may change them."""
        return self._send(_without_incomplete(self._decode(self._window)) if self._window else "")

    def _send(self, text: str) -> str:
        piece = text[self._sent :]
        self._sent = max(self._sent, len(text))
        return piece

    def _advance(self, held: int) -> None:
        """Make the pending tokens the context; `held` characters at their end stay pending."""
        # The last tokens stay as context: decoders treat the start of a text specially, for
        # example drop its leading space.
        pending = self._window[self._context :]
        text = self._decode(pending)
        if not text:  # no context, and nothing that later tokens could change
            del self._window[self._context :]
            self._sent = len(self._decode(self._window)) if self._window else 0
            return
        self._window = pending
        self._context = len(pending) - (_MAX_INCOMPLETE if held else 0)
        self._sent = len(text) - held

    def _split_run(self) -> str:
        """Return the whole characters of a long run of byte tokens; "" where it is broken.

        A broken run stays broken, so that its text is certain when it ends.
        """
        for incomplete in range(_MAX_INCOMPLETE + 1):
            end = len(self._window) - incomplete
            text = self._decode(self._window[:end])
            if not text.endswith(_BROKEN):
                break
        else:
            return ""
        piece = text[self._sent :]
        others = [i for i in self._window if i not in self._tokens.bytes]
        self._window = [*others[-1:], *self._window[end:]]
        self._context = len(others[-1:])
        self._sent = len(self._decode(others[-1:])) if others else 0
        return piece


def _without_incomplete(text: str) -> str:
    """Cut broken characters off the end that later bytes may still complete."""
    if not text.endswith(_BROKEN):
        return text
    kept = text.rstrip(_BROKEN)
    return text[: max(len(kept), len(text) - _MAX_INCOMPLETE)]


def token_texts(tokenizer: PreTrainedTokenizerBase) -> TokenTexts:
    """Return how a tokenizer turns ids into text, by its fastest function.

    Raises ModelError where its decoder multiplies the text: decoding has no limit of memory.
    """
    byte_names = [f"<0x{byte:02X}>" for byte in range(256)]
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if isinstance(backend, Tokenizer):
        if backend.decoder is not None and _growth(json.loads(backend.decoder.__getstate__())) > 64:
            raise ModelError(
                "tokenizer.json is refused: its decoder makes long texts of single characters.",
                "Choose another model.",
            )
        added = backend.get_added_tokens_decoder()
        found = (backend.token_to_id(name) for name in byte_names)
        return TokenTexts(
            # This takes a tenth of the time of the wrapper's decode.
            lambda ids: str(backend.decode(list(ids), skip_special_tokens=True)),
            {i: token.content for i, token in added.items() if token.special},
            frozenset(i for i in found if i is not None),
            lambda i: backend.id_to_token(i) is not None,
        )
    special = [int(i) for i in tokenizer.all_special_ids]
    vocabulary = tokenizer.get_vocab()
    return TokenTexts(
        lambda ids: str(
            tokenizer.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        ),
        {i: str(tokenizer.convert_ids_to_tokens(i)) for i in special},
        frozenset(vocabulary[name] for name in byte_names if name in vocabulary),
    )


def _growth(decoder: dict[str, Any]) -> float:
    """Return the most characters that the replacements of a decoder make of one."""
    growth = 1.0
    for step in decoder.get("decoders", ()):
        growth *= _growth(step)
    if decoder.get("type") == "Replace":
        replaced = decoder["pattern"].get("String", "")  # a regular expression may match one
        growth *= max(1.0, len(decoder["content"]) / max(1, len(replaced)))
    return growth
