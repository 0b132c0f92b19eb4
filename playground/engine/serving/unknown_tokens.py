"""Refuses prompts with tokens that the tokenizer has and the model's embeddings have not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from playground.core.errors import OptionsError


def tokens_beyond(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> dict[int, str]:
    """Return the tokens, by id, for which the model has no embedding; usually none."""
    table: Any = model.get_input_embeddings()  # of a class without annotations
    rows = len(table.weight)
    beyond = {i: token for token, i in tokenizer.get_added_vocab().items() if i >= rows}
    for i in range(rows, tokenizer.vocab_size):
        beyond.setdefault(i, str(tokenizer.convert_ids_to_tokens(i)))
    return beyond


def check_known(ids: Sequence[int], beyond: Mapping[int, str]) -> None:
    """Raise OptionsError, with the token's name, where a prompt has a token of `beyond`."""
    found = next((i for i in ids if i in beyond), None) if beyond else None
    if found is not None:
        raise OptionsError(
            f"The prompt has the token {beyond[found]!r} (id {found:,}), and the model's "
            "embeddings end before it: tokenizer and model do not belong together.",
            "Leave that text out of the prompt or its template, or use the tokenizer of the model "
            "that this one was made from.",
        )


def check_prefix(ids: Sequence[int], model: PreTrainedModel) -> None:
    """Raise OptionsError where a token to continue from is none of the model's."""
    table: Any = model.get_input_embeddings()
    if not all(0 <= i < len(table.weight) for i in ids):
        raise OptionsError(
            "The answer to continue has tokens that the model does not know.",
            "Continue it with the model that gave it.",
        )
