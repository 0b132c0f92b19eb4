"""What `playground env` accepts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

#: What can be made; spelled out, since its home imports too much for a help text.
_KINDS = ("auto-gptq",)


def add_env(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command with its five actions."""
    env = commands.add_parser(
        "env",
        help="other Pythons that engines can run in",
        description="Engine environments: Pythons with other versions of the libraries.",
        allow_abbrev=False,
    )
    actions = env.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("list", help="those there are", allow_abbrev=False)
    checked = actions.add_parser("check", help="start an engine in one", allow_abbrev=False)
    checked.add_argument("name", metavar="NAME")
    add = actions.add_parser("add", help="name an interpreter that is there", allow_abbrev=False)
    add.add_argument("python", type=Path, metavar="PATH", help="its executable")
    add.add_argument("--name", default="", help="the folder's name if left out")
    create = actions.add_parser(
        "create", help="make the one with auto-gptq 0.7.1", allow_abbrev=False
    )
    create.add_argument("kind", choices=_KINDS, metavar="|".join(_KINDS))
    create.add_argument("--name", default="", help="the kind if left out")
    remove = actions.add_parser(
        "remove", help="forget one, and delete it if it was made here", allow_abbrev=False
    )
    remove.add_argument("name", metavar="NAME")
    for action in (show, checked, add, create, remove):
        action.add_argument("--json", action="store_true", help="one JSON object a line")
