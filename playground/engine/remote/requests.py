"""Builds the fields of a request from a prompt and the generation options."""

from __future__ import annotations

import json
import secrets
from typing import Any

from playground.core.errors import OptionsError
from playground.core.generation import LABELS, ChatPrompt, GenerationOptions, Prompt
from playground.core.servers import CountedBy, ServerFacts
from playground.engine.remote.kinds import DIALECTS

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
