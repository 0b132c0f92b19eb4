"""A case of one's own or of a benchmark: what is asked, what is expected, and how it is graded."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from playground.evaluation.kinds import GraderKind as GraderKind


class GraderSpec(msgspec.Struct, frozen=True):
    """A grader with its options by name, such as `tolerance` of `number`."""

    kind: GraderKind = GraderKind.EXACT
    options: Mapping[str, str] = {}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One question. Any of the `targets` is right; `variables` are a table's other columns.

    `schema` is the text of the JSON schema of a `json` grader. A reader of suites reads it, so
    that a grader opens no file.
    """

    id: str
    input: str
    targets: tuple[str, ...] = ()
    grader: GraderSpec = GraderSpec()
    choices: tuple[str, ...] = ()
    system: str = ""
    group: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    schema: str = ""
    variables: Mapping[str, str] = {}


class Example(msgspec.Struct, frozen=True):
    """A worked example that stands before each question (few-shot)."""

    input: str
    output: str


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """Cases with what they share: how a prompt is made of a case, and when an answer ends.

    `prefix` is text in front of every prompt, examples included, that is the same for each case.
    `template` makes a case's own part; it names columns as `{{input}}`. With `chat` the model's
    chat template makes the prompt, else the text is continued as it is. `source` tells where the
    cases are from.
    """

    name: str
    cases: tuple[Case, ...]
    prefix: str = ""
    examples: tuple[Example, ...] = ()
    template: str = "{{input}}"
    chat: bool = False
    stop: tuple[str, ...] = ()
    max_new_tokens: int = 256
    source: str = ""
