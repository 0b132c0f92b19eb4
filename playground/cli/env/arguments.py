"""Defines what `playground env` accepts."""

from __future__ import annotations

from playground.cli.options import Commands, add_json, name, path
from playground.core.choices import AUTO_GPTQ


def add_env(commands: Commands) -> None:
    """Add the command with its five actions."""
    env = commands.add_parser(
        "env",
        help="other Pythons that engines can run in",
        description="Engine environments: Pythons with other versions of the libraries.",
    )
    actions = env.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("list", help="list the environments")
    checked = actions.add_parser(
        "check", help="start an engine in an environment and show what it can run"
    )
    checked.add_argument("name", type=name, metavar="NAME")
    add = actions.add_parser("add", help="add an existing Python interpreter")
    add.add_argument("python", type=path, metavar="PATH", help="the path of its executable")
    add.add_argument("--name", default="", help="default: the folder's name")
    create = actions.add_parser("create", help="create an environment with auto-gptq 0.7.1")
    create.add_argument("kind", choices=(AUTO_GPTQ,), metavar=AUTO_GPTQ)
    create.add_argument("--name", default="", help="default: the kind")
    remove = actions.add_parser(
        "remove", help="remove an environment; delete its folder if `env create` created it"
    )
    remove.add_argument("name", type=name, metavar="NAME")
    add_json(show, checked, add, create, remove)
