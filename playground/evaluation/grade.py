"""A grade: the score of an output, what was extracted from it, and how."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class GradeState(StrEnum):
    """Whether an output could be graded; a failure is never just a score of 0.

    NO_ANSWER and HIT_LIMIT (cut before it stated a right answer) score 0 and count as wrong. An
    ERROR is the case's or the grader's, not the model's.
    """

    GRADED = "graded"
    NO_ANSWER = "no answer"
    HIT_LIMIT = "hit the limit"
    ERROR = "error"


class Column(msgspec.Struct, frozen=True):
    """What another way of grading extracts from the same output, and its score."""

    value: str
    score: float


class Grade(msgspec.Struct, frozen=True, kw_only=True):
    """What a grader found.

    `score` is between 0 and 1, None where nothing could be graded. `value` is the extracted
    answer in its normal form, `span` its place in the output (characters from, to). `how` is a
    word for the way that found it, such as "marked" or "last number"; `note` is a sentence on
    what went wrong. `human` marks a grade that a person gave. `columns` are other ways of
    grading by name: "strict" and "flexible" of a benchmark, "per byte" of a choice.
    """

    state: GradeState
    score: float | None = None
    value: str = ""
    how: str = ""
    span: tuple[int, int] | None = None
    note: str = ""
    human: bool = False
    columns: Mapping[str, Column] = {}
