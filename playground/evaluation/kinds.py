"""The kinds of graders, apart from the rest so that the command line's help imports little."""

from __future__ import annotations

from enum import StrEnum


class GraderKind(StrEnum):
    """The ways to grade an output; the values are what a suite's `grader` column holds."""

    EXACT = "exact"
    CONTAINS = "contains"
    CONTAINS_ALL = "contains-all"
    NOT_CONTAINS = "not-contains"
    REGEX = "regex"
    NUMBER = "number"
    CHOICE = "choice"
    LETTER = "letter"
    LIST = "list"
    JSON = "json"
    F1 = "f1"
    JUDGE = "judge"
    HUMAN = "human"
    GSM8K = "gsm8k"
    BBH = "bbh"
