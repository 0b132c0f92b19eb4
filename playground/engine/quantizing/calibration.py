"""Cuts a calibration text into pieces of equal length in tokens."""

from __future__ import annotations

from playground.core.errors import OptionsError
from playground.engine.decoding.interruption import InterruptedForwardError, ShouldStop
from playground.engine.prompts.encode import Text
from playground.engine.prompts.process import PromptEncoder

#: A piece of text in the form that optimum takes: {"input_ids": [[…]], "attention_mask": [[…]]}.
Piece = dict[str, list[list[int]]]

#: Characters to read per token: more than the mean length of tokens in prose.
_CHARACTERS_PER_TOKEN = 16


def pieces(
    prompts: PromptEncoder, text: str, samples: int, length: int, should_stop: ShouldStop
) -> list[Piece]:
    """Return `samples` pieces of `length` tokens from evenly spaced places of the text.

    The same arguments give the same pieces. Raises OptionsError where the text is too short,
    InterruptedForwardError where it was stopped, ModelError where the tokenizer fails.
    """
    step = len(text) // samples
    found: list[Piece] = []
    tokens = 0
    for number in range(samples):
        start = number * step
        part = text[start : start + min(step, length * _CHARACTERS_PER_TOKEN)]
        # With the tokenizer's special tokens (such as BOS), as in prompts.
        encoded = prompts.encode_text(Text(part, special=True, most=length), should_stop)
        if isinstance(encoded, str):
            raise InterruptedForwardError(encoded)
        tokens += len(encoded.ids)
        found.append({"input_ids": [encoded.ids], "attention_mask": [[1] * len(encoded.ids)]})
    if any(len(piece["input_ids"][0]) < length for piece in found):
        raise OptionsError(
            f"The calibration text is too short: {samples} pieces of {length} tokens are "
            f"{samples * length} tokens, and the text's pieces have only {tokens} together.",
            "Choose a longer text, fewer pieces or shorter ones.",
        )
    return found
