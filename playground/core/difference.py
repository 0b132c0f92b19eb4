"""Where an answer parts from the reference's, and which of its words differ from then on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate

from playground.core.token_record import TokenRecord

#: Words, and single characters of what stands between them; white space belongs to neither.
_WORDS = re.compile(r"\w+|[^\w\s]")
#: Comparing takes time that grows with the square of this (10 ms for a thousand words).
MAX_WORDS = 2000


@dataclass(frozen=True)
class Agreement:
    """How far an answer is the reference's, from its beginning.

    `tokens` of the answer's `of` tokens agree, which release its first `characters` characters.
    """

    tokens: int
    of: int
    characters: int

    @property
    def whole(self) -> bool:
        """Whether no token of the answer differs."""
        return self.tokens == self.of


def agreement(
    reference: TokenRecord, answer: TokenRecord, *, same_tokenizer: bool = True
) -> Agreement:
    """Return how far an answer agrees with the reference's; either may still grow.

    What the longer one has after the other's end is no difference. Ids are compared where both
    models have the same tokenizer, else the texts that the tokens released.
    """
    ends = list(accumulate(map(len, answer.texts)))
    of = min(len(answer.ids), len(reference.ids)) if same_tokenizer else len(answer.ids)
    if same_tokenizer:
        tokens = _common(reference.ids, answer.ids)
        return Agreement(tokens, of, ends[tokens - 1] if tokens else 0)
    expected, text = reference.text, answer.text
    characters = _common(expected, text)
    if characters == len(expected):  # the reference has come no further
        of = sum(end <= characters for end in ends)
    tokens = sum(end <= characters for end in ends[:of])
    return Agreement(tokens, of, characters)


def different_spans(reference: str, answer: str, start: int = 0) -> tuple[tuple[int, int], ...]:
    """Return where the words of an answer are not the reference's: (start, end) in characters.

    Texts are aligned by words from the word at `start` on, which is where they part. Of very long
    texts, MAX_WORDS words of each are compared, and the rest counts as different.
    """
    begin = _word_start(answer, min(start, len(answer)))
    expected = [m.group() for m in _WORDS.finditer(reference, begin)]
    words = list(_WORDS.finditer(answer, begin))
    compared = words[:MAX_WORDS]
    matcher = SequenceMatcher(
        None, expected[:MAX_WORDS], [m.group() for m in compared], autojunk=False
    )
    spans = [
        (compared[low].start(), compared[high - 1].end())
        for kind, _, _, low, high in matcher.get_opcodes()
        if kind != "equal" and high > low
    ]
    if len(words) > MAX_WORDS:
        spans.append((words[MAX_WORDS].start(), words[-1].end()))
    return tuple(spans)


def _common(first: Sequence[object], second: Sequence[object]) -> int:
    """Return the length of the common beginning."""
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))


def _word_start(text: str, position: int) -> int:
    """Return where the word that holds a position begins."""
    while position and text[position - 1].isalnum():
        position -= 1
    return position
