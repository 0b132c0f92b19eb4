"""Python environments other than the playground's own, in which a lane's engine can run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from playground.core.errors import OptionsError

#: The name of the environment that the playground itself runs in.
OWN = ""
#: What engines run in that pass prompts to a server; no name of an environment.
REMOTE = "@server"
OWN_LABEL = "the playground's own"
MAX_ENVIRONMENTS = 20
_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"


class EngineEnvironment(msgspec.Struct, frozen=True):
    """A named Python environment; `python` is the path of its interpreter."""

    name: Annotated[str, Meta(pattern=_NAME)]
    python: str


def check_name(name: str) -> str:
    """Return the name. Raises OptionsError where it cannot name a folder or a command's option."""
    if not re.match(_NAME, name):
        raise OptionsError(
            f"{name!r} cannot be the name of an environment.",
            "Use up to 40 letters, digits, dots, hyphens and underscores.",
        )
    return name


def default_name(python: Path) -> str:
    """Return a name for an interpreter: its environment's folder, with other characters as "-"."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", python.parent.parent.name).strip("._-")[:40] or "python"


def check_new(environments: Sequence[EngineEnvironment], name: str) -> None:
    """Raise OptionsError where an environment of this name cannot be added."""
    check_name(name)
    if any(environment.name == name for environment in environments):
        raise OptionsError(
            f"There is already an environment {name}.",
            "Choose another name, or remove that one first.",
        )
    if len(environments) >= MAX_ENVIRONMENTS:
        raise OptionsError(
            f"There are already {MAX_ENVIRONMENTS} environments.", "Remove one first."
        )


def find(environments: Sequence[EngineEnvironment], name: str) -> EngineEnvironment:
    """Return the environment of this name. Raises OptionsError that lists the existing ones."""
    for environment in environments:
        if environment.name == name:
            return environment
    known = ", ".join(e.name for e in environments)
    raise OptionsError(
        f"There is no environment {name!r}.",
        f"Choose one of: {known}."
        if known
        else "Create one with `playground env create auto-gptq`, or add an existing Python with "
        "`playground env add`.",
    )
