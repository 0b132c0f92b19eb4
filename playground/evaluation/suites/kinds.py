"""The formats of other tools that can be imported."""

from __future__ import annotations

from enum import StrEnum


class ImportKind(StrEnum):
    """The formats that can be imported; the values are those of the command line."""

    PROMPTFOO = "promptfoo"
    INSPECT = "inspect"
    OPENAI = "openai"
    HARNESS = "lm-eval"
