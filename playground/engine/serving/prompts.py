"""Turns a prompt into token ids, with the model's own tokenizer and chat template."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from playground.core.errors import ModelError, OptionsError
from playground.core.generation import ChatPrompt, Message, Prompt, clean_prompt_text
from playground.engine.machine import compat


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, prompt: Prompt, context_length: int
) -> list[int]:
    """Return the prompt's ids, with the tokenizer's special tokens (such as BOS).

    Raises OptionsError for a prompt that is empty or does not fit into the context (in tokens;
    0: no limit), ModelError where the model has no chat template or it refuses the conversation.
    """
    if isinstance(prompt, ChatPrompt):
        ids = _chat_ids(tokenizer, prompt)
    else:
        text, _ = clean_prompt_text(prompt.text)
        ids = [int(i) for i in tokenizer(text, verbose=False)["input_ids"]]
    if not ids:
        raise OptionsError(
            "The model's tokenizer makes no token of this prompt.", "Type some more text."
        )
    if context_length and len(ids) >= context_length:
        raise OptionsError(
            f"The prompt has {len(ids):,} tokens. The model's context holds {context_length:,}, "
            "prompt and answer together.",
            "Shorten the prompt, or choose a model with a longer context.",
        )
    return ids


def has_chat_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the tokenizer can format a conversation."""
    return bool(getattr(tokenizer, "chat_template", None))


def _chat_ids(tokenizer: PreTrainedTokenizerBase, prompt: ChatPrompt) -> list[int]:
    if not has_chat_template(tokenizer):
        raise ModelError(
            "This model has no chat template: it was not made for conversations.",
            "Use raw completion, or choose a chat model (often named “-Instruct” or “-it”).",
        )
    if not prompt.messages:
        raise OptionsError("The conversation is empty.", "Type a message.")
    messages = [_as_dict(message) for message in prompt.messages]
    from jinja2 import TemplateError

    try:
        return compat.chat_ids(tokenizer, messages)
    except TemplateError as error:
        raise ModelError(
            f"The model's chat template refuses this conversation: {error.message or error}.",
            "Many templates accept no system prompt, or require user and assistant to take turns.",
            repr(error),
        ) from error
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ModelError(
            "The model's chat template fails on this conversation.",
            "Try it without a system prompt, or use raw completion.",
            repr(error),
        ) from error


def _as_dict(message: Message) -> dict[str, str]:
    content = clean_prompt_text(message.content)[0] if message.content else ""
    return {"role": message.role, "content": content}
