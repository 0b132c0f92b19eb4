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
OWN_LABEL = "the playground's own"
#: The environment that the playground can make.
AUTO_GPTQ = "auto-gptq"
MAX_ENVIRONMENTS = 20
_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"


class EngineEnvironment(msgspec.Struct, frozen=True):
    """An interpreter by a name. `python` is the path of its executable."""

    name: Annotated[str, Meta(pattern=_NAME)]
    python: str


def check_name(name: str) -> str:
    """Return the name. Raises OptionsError for one that could not be a folder's or an option's."""
    if not re.match(_NAME, name):
        raise OptionsError(
            f"{name!r} is no name for an environment.",
            "Use up to 40 letters, digits, dots, hyphens and underscores.",
        )
    return name


def default_name(python: Path) -> str:
    """A name for an interpreter: that of its environment's folder, with what a name may hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", python.parent.parent.name).strip("._-")[:40] or "python"


def check_new(environments: Sequence[EngineEnvironment], name: str) -> None:
    """Raise OptionsError where no environment of this name can be added."""
    check_name(name)
    if any(environment.name == name for environment in environments):
        raise OptionsError(
            f"There is an environment {name} already.", "Give another name, or remove it first."
        )
    if len(environments) >= MAX_ENVIRONMENTS:
        raise OptionsError(
            f"There are {MAX_ENVIRONMENTS} environments already.", "Remove one first."
        )


def find(environments: Sequence[EngineEnvironment], name: str) -> EngineEnvironment:
    """Return the environment of this name. Raises OptionsError naming those that there are."""
    for environment in environments:
        if environment.name == name:
            return environment
    known = ", ".join(e.name for e in environments)
    raise OptionsError(
        f"There is no environment {name!r}.",
        f"Choose one of: {known}."
        if known
        else "Make one with `playground env create auto-gptq`, or name a Python with "
        "`playground env add`.",
    )
