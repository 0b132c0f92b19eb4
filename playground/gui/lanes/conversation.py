"""What was asked of a lane and what it answered, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from playground.core.facts import Answer
from playground.core.generation import ChatPrompt, Message, Prompt, RawPrompt

Mode = Literal["raw", "chat"]


@dataclass(frozen=True)
class Exchange:
    """One prompt and what came back.

    `text` is the answer as far as it came; `answer` is None while it comes and where it broke
    off without one.
    """

    mode: Mode
    typed: str
    prompt: Prompt
    text: str = ""
    answer: Answer | None = None

    @property
    def role(self) -> str:
        """How the prompt is shown: a raw one is what the answer goes on from."""
        return "user" if self.mode == "chat" else "prompt"


@dataclass(frozen=True)
class Conversation:
    """A lane's exchanges in order. Every change makes a new one."""

    exchanges: tuple[Exchange, ...] = ()

    @property
    def last(self) -> Exchange | None:
        return self.exchanges[-1] if self.exchanges else None

    def asked(self, mode: Mode, typed: str, system: str = "") -> Conversation:
        """Return it with a prompt that waits for its answer.

        A chat prompt carries the answered chat turns before it; a raw prompt stands alone.
        """
        exchange = Exchange(mode, typed, self.prompt_for(mode, typed, system))
        return Conversation((*self.exchanges, exchange))

    def prompt_for(self, mode: Mode, typed: str, system: str = "") -> Prompt:
        """Return what is sent to the model for a text typed now."""
        if mode == "raw":
            return RawPrompt(typed)
        messages = [Message("system", system)] if system.strip() else []
        for exchange in self.exchanges:
            if exchange.mode == "chat" and exchange.answer is not None:
                messages.append(Message("user", exchange.typed))
                messages.append(Message("assistant", exchange.text))
        messages.append(Message("user", typed))
        return ChatPrompt(tuple(messages))

    def with_text(self, text: str) -> Conversation:
        """Return it with a piece more of the last answer."""
        if not self.exchanges:
            return self
        last = self.exchanges[-1]
        return Conversation((*self.exchanges[:-1], replace(last, text=last.text + text)))

    def with_answer(self, answer: Answer) -> Conversation:
        """Return it with the last prompt answered. The answer's own text is what counts."""
        if not self.exchanges:
            return self
        last = replace(self.exchanges[-1], text=answer.text, answer=answer)
        return Conversation((*self.exchanges[:-1], last))

    def without_last(self) -> Conversation:
        """Return it as it was before the last prompt."""
        return Conversation(self.exchanges[:-1])


def chat_reason(models: Sequence[tuple[str, bool]]) -> str:
    """Why there can be no conversation: "" where all of (name, has a chat template) can.

    One model without a template keeps all from it: the lanes are to be compared.
    """
    lacking = list(dict.fromkeys(name for name, has in models if not has))
    if not lacking:
        return ""
    have = "has" if len(lacking) == 1 else "have"
    return f"{', '.join(lacking)} {have} no chat template, and can only continue text."
