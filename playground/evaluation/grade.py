"""A grade: the score of an output, what was extracted from it, and how."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class GradeState(StrEnum):
    """Whether an output could be graded; a failure is never just a score of 0."""

    GRADED = "graded"
    NO_ANSWER = "no answer"
    HIT_LIMIT = "hit the limit"
    ERROR = "error"


class Grade(msgspec.Struct, frozen=True, kw_only=True):
    """What a grader found.

    `score` is between 0 and 1, None where nothing could be graded. `value` is the extracted
    answer in its normal form, `span` its place in the output (characters from, to). `how` is a
    word for the way that found it, such as "marked" or "last number"; `note` is a sentence on
    what went wrong. `human` marks a grade that a person gave.
    """

    state: GradeState
    score: float | None = None
    value: str = ""
    how: str = ""
    span: tuple[int, int] | None = None
    note: str = ""
    human: bool = False
