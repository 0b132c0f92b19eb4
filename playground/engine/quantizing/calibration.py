"""Cuts a calibration text into pieces of one length in tokens."""

from __future__ import annotations

from typing import Any

from playground.core.errors import OptionsError

#: Characters looked at for one token; no tokenizer of a language model makes longer ones of prose.
_CHARACTERS_A_TOKEN = 16


def pieces(tokenizer: Any, text: str, samples: int, length: int) -> list[dict[str, Any]]:
    """Return `samples` pieces of `length` tokens from even places of the text, always the same.

    Each as optimum takes them: {"input_ids": [[…]], "attention_mask": [[…]]}. Raises
    OptionsError where the text is too short.
    """
    step = len(text) // samples
    found = []
    tokens = 0
    for number in range(samples):
        start = number * step
        part = text[start : start + min(step, length * _CHARACTERS_A_TOKEN)]
        # What the tokenizer puts in front of every text belongs into the pieces too.
        ids = tokenizer(part, truncation=True, max_length=length)["input_ids"]
        tokens += len(ids)
        found.append({"input_ids": [ids], "attention_mask": [[1] * len(ids)]})
    if any(len(piece["input_ids"][0]) < length for piece in found):
        raise OptionsError(
            f"The calibration text is too short: {samples} pieces of {length} tokens are "
            f"{samples * length}, and its pieces have only {tokens} together.",
            "Choose a longer text, fewer pieces or shorter ones.",
        )
    return found
