"""Defines what `playground servers` accepts."""

from __future__ import annotations

from playground.cli.options import Commands, add_json, name


def add_servers(commands: Commands) -> None:
    """Add the command with its actions."""
    servers = commands.add_parser(
        "servers",
        help="servers with OpenAI's API that lanes can run on",
        description="Servers that speak OpenAI's API, such as vLLM, SGLang, llama.cpp's server "
        "and `transformers serve`.",
    )
    actions = servers.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser("list", help="list the servers")
    add = actions.add_parser("add", help="give a server a name")
    add.add_argument("url", type=name, metavar="URL", help="such as http://127.0.0.1:8000/v1")
    add.add_argument("--name", default="", help="default: its host and port")
    add.add_argument(
        "--key-variable",
        default="",
        metavar="VARIABLE",
        help="the environment variable that holds the key",
    )
    add.add_argument(
        "--keyring", action="store_true", help="read the key and put it into the system's keyring"
    )
    add.add_argument(
        "--plain-key",
        action="store_true",
        help="allow the key to go over http, where others on the way can read it",
    )
    remove = actions.add_parser("remove", help="forget a server, and its key in the keyring")
    remove.add_argument("name", type=name, metavar="NAME")
    probe = actions.add_parser("probe", help="ask a server for two tokens and show what it can do")
    probe.add_argument("url", type=name, metavar="URL", help="an address, or a server's name")
    probe.add_argument("--model", default="", metavar="NAME", help="default: its only model")
    add_json(show, add, remove, probe)
