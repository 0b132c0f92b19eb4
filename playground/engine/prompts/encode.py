"""Turns prompts and texts into token ids, with the model's own tokenizer and chat template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from jinja2 import TemplateError, TemplateSyntaxError
from transformers import PreTrainedTokenizerBase

from playground.core.errors import ModelError, OptionsError, PlaygroundError
from playground.core.format import plain_line
from playground.core.generation import ChatPrompt, Message, Prompt, clean_prompt_text
from playground.engine.machine import compat

#: What a template writes that prints a list of parts as if it were a string.
_PRINTED_PARTS = ("'type': 'text'", '"type": "text"')


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt's ids, with the tokenizer's special tokens (such as BOS).

    `parts`: the chat template got each message's content as a list of parts, not as a string.
    """

    ids: Sequence[int]
    parts: bool = False


class Text(msgspec.Struct, tag="text", frozen=True):
    """A text to be scored or calibrated with, not continued.

    `special`: with the tokenizer's special tokens (such as BOS). `most` tokens are kept, 0: all.
    """

    text: str
    special: bool = False
    most: int = 0


class EncodedText(msgspec.Struct, tag="encoded text", frozen=True):
    """A text's ids, and the text of the first one alone."""

    ids: list[int]
    first: str


def encode_text(tokenizer: PreTrainedTokenizerBase, text: Text) -> EncodedText:
    """Encode a text. Raises ModelError where the tokenizer fails on it."""
    cut: dict[str, Any] = {"truncation": True, "max_length": text.most} if text.most else {}
    try:
        found = tokenizer(text.text, add_special_tokens=text.special, verbose=False, **cut)
        ids = [int(i) for i in found["input_ids"]]
        return EncodedText(ids, str(tokenizer.decode(ids[:1])))
    except MemoryError:
        raise
    except BaseException as error:  # Rust's panics are no Exception
        raise ModelError(
            "The model's tokenizer fails on this text.",
            "Choose another text, or download the model again.",
            repr(error),
        ) from error


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> EncodedPrompt:
    """Encode a prompt.

    Raises OptionsError for an empty prompt, ModelError where the model has no chat template, or
    where its template or tokenizer refuses the prompt.
    """
    if isinstance(prompt, ChatPrompt):
        encoded = _encode_chat(tokenizer, prompt)
    else:
        text, _ = clean_prompt_text(prompt.text)
        try:
            ids = [int(i) for i in tokenizer(text, verbose=False)["input_ids"]]
        except MemoryError:
            raise
        except BaseException as error:  # Rust's panics are no Exception
            raise ModelError(
                "The model's tokenizer fails on this prompt.",
                "Change the prompt, or download the model again.",
                repr(error),
            ) from error
        encoded = EncodedPrompt(ids)
    if not encoded.ids:
        raise OptionsError(
            "The model's tokenizer makes no token of this prompt.", "Type some more text."
        )
    return encoded


def check_length(ids: Sequence[int], context_length: int) -> None:
    """Raise OptionsError where a prompt does not fit into the context (tokens; 0: no limit)."""
    if context_length and len(ids) >= context_length:
        raise OptionsError(
            f"The prompt has {len(ids):,} tokens. The model's context holds {context_length:,}, "
            "prompt and answer together.",
            "Shorten the prompt, or choose a model with a longer context.",
        )


def has_chat_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the tokenizer can format a conversation."""
    return bool(getattr(tokenizer, "chat_template", None))


def _encode_chat(tokenizer: PreTrainedTokenizerBase, prompt: ChatPrompt) -> EncodedPrompt:
    if not has_chat_template(tokenizer):
        raise ModelError(
            "This model has no chat template: it was not made for conversations.",
            "Use raw completion, or choose a chat model (often named “-Instruct” or “-it”).",
        )
    if not prompt.messages:
        raise OptionsError("The conversation is empty.", "Type a message.")
    try:
        parts = _wants_parts(tokenizer, prompt.messages)
        messages = [_as_dict(message, parts) for message in prompt.messages]
        return EncodedPrompt(compat.chat_ids(tokenizer, messages), parts)
    except (MemoryError, PlaygroundError):
        raise
    except BaseException as error:  # Rust's panics are no Exception
        raise _template_error(error) from error


def _template_error(error: BaseException) -> ModelError:
    if isinstance(error, TemplateSyntaxError):
        return ModelError(
            f"The model's chat template has a syntax error in line {error.lineno}.",
            "Use raw completion, or download the model again.",
            repr(error),
        )
    if isinstance(error, TemplateError):
        why = plain_line(error.message or str(error))[:300]
        return ModelError(
            f"The model's chat template refuses this conversation: {why}.",
            "Many templates accept no system prompt, or require user and assistant to take turns.",
            repr(error),
        )
    return ModelError(
        "The model's chat template fails on this conversation.",
        "Try it without a system prompt, or use raw completion.",
        repr(error),
    )


def _wants_parts(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> bool:
    """Return whether the chat template keeps the user's words only as a list of parts.

    A template that loops over the parts of a message drops a string without an error, or fails.
    """
    if _keeps_words(tokenizer, messages, parts=False):
        return False
    return _keeps_words(tokenizer, messages, parts=True)


def _keeps_words(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, parts: bool
) -> bool:
    """Return whether the formatted conversation contains what the user said, or is refused."""
    try:
        text: Any = tokenizer.apply_chat_template(
            [_as_dict(message, parts) for message in messages],
            add_generation_prompt=True,
            tokenize=False,
        )
    except Exception as error:
        # Asked again for the ids, it raises again. The exact class is what a template raises that
        # refuses a conversation, whatever its form.
        return type(error) is TemplateError
    if not isinstance(text, str):
        return True
    if parts and any(mark in text for mark in _PRINTED_PARTS):
        return False
    said = [_clean(m.content).strip() for m in messages if m.role == "user"]
    return all(words in text for words in said)


def _as_dict(message: Message, parts: bool) -> dict[str, Any]:
    content = _clean(message.content)
    return {
        "role": message.role,
        "content": [{"type": "text", "text": content}] if parts else content,
    }


def _clean(content: str) -> str:
    return clean_prompt_text(content)[0] if content else ""
