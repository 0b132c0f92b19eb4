"""The conversation of a lane: prompts and answers as immutable values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from playground.core.facts import Answer
from playground.core.generation import ChatPrompt, Message, Prompt, RawPrompt

Mode = Literal["raw", "chat"]


@dataclass(frozen=True)
class Exchange:
    """One prompt and its answer.

    `text` is the answer so far. It follows `given`, the text of the prompt's `prefix_ids`.
    `answer` is None while it streams, and where it broke off.
    `kept`: the turn comes from the history, where only the text of its answer is known.
    """

    mode: Mode
    typed: str
    prompt: Prompt
    text: str = ""
    answer: Answer | None = None
    kept: bool = False
    given: str = ""

    @property
    def role(self) -> str:
        """The role that the prompt is shown with; an answer continues a raw prompt's text."""
        return "user" if self.mode == "chat" else "prompt"


@dataclass(frozen=True)
class Conversation:
    """A lane's exchanges in order. Every change returns a new conversation."""

    exchanges: tuple[Exchange, ...] = ()

    @property
    def last(self) -> Exchange | None:
        return self.exchanges[-1] if self.exchanges else None

    def asked(self, mode: Mode, typed: str, system: str = "") -> Conversation:
        """Return the conversation with a prompt that waits for its answer.

        A chat prompt includes the answered chat turns before it; a raw prompt stands alone.
        """
        exchange = Exchange(mode, typed, self.prompt_for(mode, typed, system))
        return Conversation((*self.exchanges, exchange))

    def prompt_for(self, mode: Mode, typed: str, system: str = "") -> Prompt:
        """Return the prompt to send to the model for a text typed now."""
        if mode == "raw":
            return RawPrompt(typed)
        messages = [Message("system", system)] if system.strip() else []
        for exchange in self.exchanges:
            if exchange.mode == "chat" and (exchange.answer is not None or exchange.kept):
                messages.append(Message("user", exchange.typed))
                messages.append(Message("assistant", exchange.given + exchange.text))
        messages.append(Message("user", typed))
        return ChatPrompt(tuple(messages))

    def continued(self, prefix_ids: tuple[int, ...], given: str) -> Conversation:
        """Return the conversation with its last prompt asked again, to go on from given tokens."""
        if not self.exchanges:
            return self
        last = self.exchanges[-1]
        prompt = msgspec.structs.replace(last.prompt, prefix_ids=prefix_ids)
        return Conversation(
            (*self.exchanges[:-1], Exchange(last.mode, last.typed, prompt, given=given))
        )

    def with_text(self, text: str) -> Conversation:
        """Return the conversation with `text` added to its last answer."""
        if not self.exchanges:
            return self
        last = self.exchanges[-1]
        return Conversation((*self.exchanges[:-1], replace(last, text=last.text + text)))

    def with_answer(self, answer: Answer) -> Conversation:
        """Return the conversation with its last prompt answered; the answer's text replaces it."""
        if not self.exchanges:
            return self
        last = replace(self.exchanges[-1], text=answer.text, answer=answer)
        return Conversation((*self.exchanges[:-1], last))

    def without_last(self) -> Conversation:
        """Return the conversation without its last exchange."""
        return Conversation(self.exchanges[:-1])


def chat_reason(models: Sequence[tuple[str, bool]]) -> str:
    """Return why the models cannot hold a conversation, "" where they can.

    `models` are pairs of name and whether it has a chat template. All of them must have one,
    since the lanes are compared.
    """
    lacking = list(dict.fromkeys(name for name, has in models if not has))
    if not lacking:
        return ""
    have = "has" if len(lacking) == 1 else "have"
    return f"{', '.join(lacking)} {have} no chat template and can only continue text."
