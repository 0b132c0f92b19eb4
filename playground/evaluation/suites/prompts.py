"""Makes the prompts of a suite's cases."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec

from playground.core.generation import ChatPrompt, Message, Prompt, RawPrompt
from playground.evaluation.case import Case, Suite
from playground.evaluation.suites.cases import variables_of
from playground.evaluation.suites.errors import SuiteError

_NAMED = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


def prompt_of(suite: Suite, case: Case) -> Prompt:
    """Return what a model is asked for a case. Raises SuiteError for an unknown `{{name}}`.

    A text that is continued is the prefix, each example's question with its output and a blank
    line, and the case's question. A conversation has a turn for each of these, and the case's
    system prompt, else the prefix, in front.
    """
    question = filled(suite.template, variables_of(case), suite.name)
    if not suite.chat:
        return RawPrompt(prefix_of(suite) + question)
    system = case.system or suite.prefix
    turns = [Message("system", system)] if system else []
    for example in suite.examples:
        asked = filled(suite.template, {"input": example.input, "choices": ""}, suite.name)
        turns += [Message("user", asked), Message("assistant", example.output)]
    return ChatPrompt((*turns, Message("user", question)))


def prefix_of(suite: Suite) -> str:
    """Return the text in front of every case's question that is the same for all of them."""
    if suite.chat:
        return ""
    examples = [
        filled(suite.template, {"input": one.input, "choices": ""}, suite.name) + one.output
        for one in suite.examples
    ]
    return suite.prefix + "".join(f"{example}\n\n" for example in examples)


def filled(template: str, variables: Mapping[str, str], name: str) -> str:
    """Return a template with its `{{names}}` replaced, once: values are no templates."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in variables:
            known = ", ".join(variables)
            raise SuiteError(
                name, f"there is no column {found[1]!r} for the prompt.", f"There are: {known}."
            )
        return variables[found[1]]

    return _NAMED.sub(value, template)


def case_key(prompt: Prompt) -> str:
    """Return the SHA-256 of what reaches the model, in hexadecimal."""
    return hashlib.sha256(msgspec.msgpack.encode(prompt)).hexdigest()
