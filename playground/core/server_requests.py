"""Builds the fields of a request to a server, in the words of its kind."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from playground.core.errors import OptionsError
from playground.core.generation import LABELS, ChatPrompt, GenerationOptions, Prompt
from playground.core.servers import CountedBy, ServerFacts, ServerKind

#: OpenAI's own fields, by the options of GenerationOptions.
_OPENAI = {
    "max_new_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
}
_FILTERS = {"top_k": "top_k", "min_p": "min_p"}


@dataclass(frozen=True)
class Dialect:
    """What a kind of server takes beside OpenAI's own fields.

    `names` are its fields for options of GenerationOptions; it does not take the others. `off`
    are values with which a filter does nothing, where GenerationOptions has another one.
    `extra` are fields of every request, `text` those of a text to be continued. `fresh` is the
    field that keeps its prompt cache from being used, with its value; None: any value that no
    earlier request had. `config_field` takes the sampling options as JSON text. `continues`: it
    continues a text as it stands.
    """

    names: Mapping[str, str] = field(default_factory=lambda: _OPENAI)
    off: Mapping[str, float] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    text: Mapping[str, Any] = field(default_factory=dict)
    fresh: tuple[str, Any] | None = None
    config_field: str = ""
    continues: bool = True


_VLLM = Dialect(
    names={
        **_OPENAI,
        **_FILTERS,
        "repetition_penalty": "repetition_penalty",
        "ignore_eos": "ignore_eos",
    },
    off={"top_k": -1},
    extra={"return_token_ids": True},
    fresh=("cache_salt", None),
)
DIALECTS: dict[ServerKind, Dialect] = {
    ServerKind.VLLM: _VLLM,
    ServerKind.SGLANG: _VLLM,
    ServerKind.LLAMA_CPP: Dialect(
        names={
            **_OPENAI,
            **_FILTERS,
            "repetition_penalty": "repeat_penalty",
            "ignore_eos": "ignore_eos",
        },
        extra={"return_tokens": True, "timings_per_token": True},
        fresh=("cache_prompt", False),
    ),
    ServerKind.LLAMA_CPP_PYTHON: Dialect(
        names={**_OPENAI, **_FILTERS, "repetition_penalty": "repeat_penalty"},
    ),
    ServerKind.TRANSFORMERS: Dialect(
        names={
            "max_new_tokens": "max_tokens",
            "temperature": "temperature",
            "top_p": "top_p",
            "seed": "seed",
            **_FILTERS,
            "repetition_penalty": "repetition_penalty",
        },
        config_field="generation_config",
    ),
    ServerKind.OLLAMA: Dialect(continues=False),
    ServerKind.LM_STUDIO: Dialect(
        names={**_OPENAI, "top_k": "top_k", "repetition_penalty": "repeat_penalty"},
    ),
    ServerKind.UNKNOWN: Dialect(),
}
#: Values with which an option does nothing; greedy decoding leaves the sampling filters off.
_NEUTRAL: dict[str, float] = {
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
}
#: OpenAI's penalties, which GenerationOptions does not have; a server's default may differ.
_PENALTIES = {"presence_penalty": 0, "frequency_penalty": 0}


def path_of(prompt: Prompt) -> str:
    """Return the path that answers such a prompt."""
    return "/chat/completions" if isinstance(prompt, ChatPrompt) else "/completions"


def check_prompt(prompt: Prompt, facts: ServerFacts) -> None:
    """Raise OptionsError for a prompt that the server cannot be asked."""
    if prompt.prefix_ids:
        raise OptionsError(
            "A server cannot go on from a given token.",
            "Continue in a lane that runs on this machine.",
        )
    if isinstance(prompt, ChatPrompt):
        if not facts.chat:
            raise OptionsError(
                "This server holds no conversations with the model.",
                "Switch the mode to Continue text.",
            )
    elif not facts.completions:
        raise OptionsError(
            "This server only holds conversations: it does not continue a text as it stands.",
            "Switch the mode to Chat.",
        )


def fields_of(
    model: str, prompt: Prompt, options: GenerationOptions, facts: ServerFacts
) -> dict[str, Any]:
    """Return the request's fields. Raises OptionsError for an option that the server lacks.

    Every sampling setting is sent, neutral ones too: a server's own defaults differ.
    """
    check_prompt(prompt, facts)
    dialect = DIALECTS[facts.kind]
    fields: dict[str, Any] = {"model": model, "stream": True, **dialect.extra}
    if isinstance(prompt, ChatPrompt):
        fields["messages"] = [{"role": m.role, "content": m.content} for m in prompt.messages]
    else:
        fields |= {"prompt": prompt.text, **dialect.text}
    fields["stream_options"] = {"include_usage": True}
    sampling = _sampling(options, facts)
    fields["max_tokens"] = options.max_new_tokens
    if dialect.config_field:
        sampling["do_sample"] = not options.greedy
        fields["seed"] = sampling.pop("seed")
        fields[dialect.config_field] = json.dumps(sampling)
    else:
        fields |= sampling | _PENALTIES
        if options.greedy:
            fields["temperature"] = 0
    if dialect.fresh is not None:
        name, value = dialect.fresh
        fields[name] = secrets.token_hex(8) if value is None else value
    wanted = min(options.top, facts.top_logprobs)
    if wanted or facts.counted_by is CountedBy.LOGPROBS:
        # One alternative is the least that makes a server name each token.
        if isinstance(prompt, ChatPrompt):
            fields |= {"logprobs": True, "top_logprobs": max(1, wanted)}
        else:
            fields["logprobs"] = max(1, wanted)
    return fields


def _sampling(options: GenerationOptions, facts: ServerFacts) -> dict[str, Any]:
    """Return the sampling fields by the server's names."""
    dialect = DIALECTS[facts.kind]
    fields: dict[str, Any] = {}
    for option, neutral in _NEUTRAL.items():
        value = getattr(options, option)
        if options.greedy and option != "repetition_penalty":
            value = neutral
        name = dialect.names.get(option)
        if name is not None:
            fields[name] = dialect.off.get(option, value) if value == neutral else value
        elif value != neutral:
            raise OptionsError(
                f"{facts.kind.label} takes no {LABELS[option].lower()}, which is {value:g}.",
                f"Set it to {neutral:g} in the generation options, so that it does nothing.",
            )
    if seed := dialect.names.get("seed"):
        fields[seed] = options.seed
    if options.ignore_eos:
        name = dialect.names.get("ignore_eos")
        if name is None:
            raise OptionsError(
                f"{facts.kind.label} cannot go on after the end of the text.",
                "Let the model end its text.",
            )
        fields[name] = True
    return fields


def lacking(facts: ServerFacts) -> tuple[str, ...]:
    """Return the options of GenerationOptions that the server's kind does not take."""
    names = DIALECTS[facts.kind].names
    wanted = [*_NEUTRAL, "seed", "ignore_eos"]
    missing = [option for option in wanted if option not in names]
    return (*missing, *(() if facts.top_logprobs else ("top",)))
