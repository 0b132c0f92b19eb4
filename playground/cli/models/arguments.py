"""Defines what `playground models` accepts."""

from __future__ import annotations

import argparse
import re

from playground.cli.options import Commands, add_json, name, shown, whole

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
#: Names of the Hub's orders.
SORTS = ("downloads", "likes", "trending", "updated", "created")


def add_models(commands: Commands) -> None:
    """Add the command with its actions."""
    models = commands.add_parser(
        "models",
        help="find models, look at them, download and delete them",
        description="The Hub's models, and those on this machine.",
    )
    actions = models.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_search(actions)
    here = actions.add_parser("list", help="list the models on this machine")
    show = actions.add_parser("show", help="show everything known about a model")
    show.add_argument(
        "model", type=name, metavar="M", help="a Hub id, owner/name@revision, or a folder"
    )
    show.add_argument(
        "--context",
        type=_tokens,
        default=0,
        metavar="N",
        help="plan the memory for this many tokens, prompt and answer; default: the model's "
        "context, at most 4096",
    )
    show.add_argument("--card", action="store_true", help="show the model card too")
    download = actions.add_parser(
        "download", help="download models that are not on this machine yet"
    )
    download.add_argument(
        "models", type=name, nargs="+", metavar="ID", help="owner/name[@revision]"
    )
    check = actions.add_parser(
        "check", help="compare a model's files with the hashes that the Hub announces"
    )
    check.add_argument("model", type=name, metavar="M", help="as `playground models list` names it")
    check.add_argument(
        "--fetch", action="store_true", help="download damaged and missing files again"
    )
    delete = actions.add_parser("delete", help="delete a model from this machine")
    delete.add_argument(
        "model", type=name, metavar="M", help="as `playground models list` names it"
    )
    delete.add_argument(
        "--yes",
        action="store_true",
        help="delete it; without --yes, only show what that would free",
    )
    add_json(here, show, delete, download, check)
    for action in (here, show, delete, check):
        action.add_argument(
            "--folder",
            type=name,
            action="append",
            default=[],
            metavar="DIR",
            help="a folder with models; may be repeated",
        )


def _add_search(actions: Commands) -> None:
    search = actions.add_parser("search", help="search the Hub")
    search.add_argument("text", nargs="?", default="", help="a part of the id")
    search.add_argument(
        "--task",
        default="text-generation",
        help="the task's name on the Hub (text-generation); '' for any",
    )
    search.add_argument("--author", default="")
    search.add_argument("--min-parameters", type=count, default=0, metavar="N", help="such as 500M")
    search.add_argument("--max-parameters", type=count, default=0, metavar="N", help="such as 8B")
    search.add_argument("--licence", "--license", default="", metavar="L", help="such as mit")
    search.add_argument("--library", default="", metavar="L", help="such as gptq or transformers")
    gate = search.add_mutually_exclusive_group()
    gate.add_argument("--gated", action="store_const", const=True, dest="gated", default=None)
    gate.add_argument("--open", action="store_const", const=False, dest="gated")
    search.add_argument("--sort", choices=SORTS, default="downloads")
    search.add_argument(
        "--limit", type=_limit, default=30, metavar="N", help="most rows to list (30)"
    )
    add_json(search)


def count(text: str) -> int:
    """Read a number of parameters: 7000000000, 7B, 1.5B, 500M."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)([KMBT]?)", text.strip().upper())
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is not a number of parameters: give it as 7B"
        )
    return int(float(match[1]) * _UNITS[match[2]])


def _tokens(text: str) -> int:
    return whole(text, "a number of tokens", 1, 2**30)


def _limit(text: str) -> int:
    return whole(text, "a whole number", 1, 10_000)
