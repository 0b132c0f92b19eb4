"""What a model's files say about its tokens: which end a text, and which may not be in one."""

from __future__ import annotations

import json

from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from playground.core.errors import ModelError
from playground.core.facts import TokenRules
from playground.engine.machine import compat


def take_rules(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> TokenRules:
    """Return the model's rules, and remove its default sampling options.

    `generate` would silently apply a checkpoint's temperature or penalty, and lanes with the same
    options must sample alike. Raises ModelError where a rule names no tokens.
    """
    own = model.generation_config
    stated = {
        "generation_config.json": own.eos_token_id,
        "config.json": getattr(compat.text_config(model), "eos_token_id", None),
        "tokenizer_config.json": tokenizer.eos_token_id,
    }
    ends = next(filter(None, (_ids(v, file, "eos_token_id") for file, v in stated.items())), ())
    vocabulary = int(compat.text_config(model).vocab_size)
    rules = TokenRules(
        eos=ends,
        suppressed=_ids(own.suppress_tokens, name="suppress_tokens"),
        suppressed_first=_ids(own.begin_suppress_tokens, name="begin_suppress_tokens"),
        # As in `generate`, a text may end, and tokens that the model lacks need no rule.
        forbidden=tuple(
            word
            for word in _words(own.bad_words_ids)
            if max(word) < vocabulary and not (len(word) == 1 and word[0] in ends)
        ),
    )
    model.generation_config = GenerationConfig(
        suppress_tokens=list(rules.suppressed) or None,
        begin_suppress_tokens=list(rules.suppressed_first) or None,
        bad_words_ids=[list(word) for word in rules.forbidden] or None,
    )
    return rules


def _words(value: object) -> tuple[tuple[int, ...], ...]:
    name = "bad_words_ids"
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _wrong(value, name=name)
    words = tuple(_ids(word, name=name) for word in value)
    if not all(words):
        raise _wrong(value, name=name)
    return words


def _ids(value: object, source: str = "generation_config.json", name: str = "") -> tuple[int, ...]:
    listed = value if isinstance(value, list | tuple) else [value]
    ids = [i for i in listed if i is not None]  # some files state [null]
    found = [i for i in ids if isinstance(i, int) and not isinstance(i, bool) and 0 <= i < 2**31]
    if len(found) != len(ids):
        raise _wrong(value, source, name)
    return tuple(found)


def _wrong(value: object, source: str = "generation_config.json", name: str = "") -> ModelError:
    shown = json.dumps(value, default=repr)
    return ModelError(
        f"{source} is damaged: its value of {name!r} cannot be used: {shown:.60}.",
        "Download the model again, or correct the file: it must name tokens by their ids.",
    )
