"""The input of a generation: the prompt and the generation options."""

from __future__ import annotations

from typing import Literal

import msgspec

from playground.core.errors import OptionsError

#: A prompt above this is refused before it reaches an engine (characters).
MAX_PROMPT_CHARACTERS = 4_000_000

Role = Literal["system", "user", "assistant"]
Timing = Literal["in turn", "together"]


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str


class RawPrompt(msgspec.Struct, frozen=True, tag="raw"):
    """Text that the model continues; `prefix_ids` as in ChatPrompt."""

    text: str
    prefix_ids: tuple[int, ...] = ()


class ChatPrompt(msgspec.Struct, frozen=True, tag="chat"):
    """A conversation, which the model's own chat template turns into text.

    `prefix_ids` are tokens of the answer that are given: they follow the prompt's own, and count
    as its tokens.
    """

    messages: tuple[Message, ...]
    prefix_ids: tuple[int, ...] = ()


Prompt = RawPrompt | ChatPrompt


class GenerationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are sampled, and when generation stops; the same for all lanes of a comparison.

    `top_k=0`, `top_p=1`, `min_p=0` and `repetition_penalty=1` each switch their filter off.
    With `greedy` the sampling values are ignored. With `ignore_eos` generation goes on to
    `max_new_tokens`, for measurements of a fixed length. `top` is how many of the likeliest tokens
    are sent with each token, beside its log-probability and rank (`TokenDetail`); 0: none of these.
    """

    max_new_tokens: int = 128
    greedy: bool = True
    temperature: float = 0.8
    top_k: int = 50
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    ignore_eos: bool = False
    top: int = 0

    def check(self) -> None:
        """Raise OptionsError that names the first option out of range, its range and its value."""
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:  # not a number is not, either
                given = f"{value:,}" if abs(value) < 1e40 else "a number that large"
                raise OptionsError(
                    f"{LABELS[name]} must be between {low:,} and {high:,}, not {given}.",
                    "Change it in the generation options.",
                )
        if any(not s for s in self.stop):
            raise OptionsError(
                "A stop string is empty, which would stop every text at once.",
                "Remove the empty stop string.",
            )
        if any(_lone_surrogates(s) for s in self.stop):
            raise OptionsError(
                "A stop string has broken characters (lone surrogates), which no text contains.",
                "Type the stop string again.",
            )


#: Allowed values, both ends included; for the window's spin boxes and for messages.
RANGES: dict[str, tuple[float, float]] = {
    "max_new_tokens": (1, 1_000_000),
    "temperature": (0.01, 10.0),
    "top_k": (0, 1_000_000),
    "top_p": (0.001, 1.0),
    "min_p": (0.0, 0.999),
    "repetition_penalty": (0.1, 10.0),
    "seed": (0, 2**31 - 1),
    "top": (0, 20),
}
LABELS = {
    "max_new_tokens": "New tokens",
    "temperature": "Temperature",
    "top_k": "Top-k",
    "top_p": "Top-p",
    "min_p": "Min-p",
    "repetition_penalty": "Repetition penalty",
    "seed": "Seed",
    "top": "Alternatives of each token",
}


def clean_prompt_text(text: str) -> tuple[str, str]:
    """Return the text in a form that can be encoded, and a sentence on what was changed, or "".

    Only lone surrogates are replaced, since no tokenizer can encode them; every other
    character stays as typed. Raises OptionsError where the prompt is empty or longer than
    MAX_PROMPT_CHARACTERS.
    """
    if not text:
        raise OptionsError("The prompt is empty.", "Type something for the models to continue.")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise OptionsError(
            f"The prompt has {len(text):,} characters, more than the {MAX_PROMPT_CHARACTERS:,} "
            "that are accepted.",
            "Shorten it.",
        )
    count = _lone_surrogates(text)
    if not count:
        return text, ""
    repaired = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    return repaired, f"{count} broken character(s) (lone surrogates) were replaced by \ufffd."


def _lone_surrogates(text: str) -> int:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return sum("\ud800" <= c <= "\udfff" for c in text)
    return 0
