"""Lists, adds, removes and probes servers: `playground servers`."""

from __future__ import annotations

import argparse
import getpass
import sys

import msgspec

from playground.cli.console import Console
from playground.cli.server_lane import load_from, open_session
from playground.client.servers import forget_key, store_key
from playground.core.errors import OptionsError
from playground.core.facts import LoadedModel
from playground.core.format import seconds_text
from playground.core.generation import LABELS
from playground.core.servers import (
    KnownServer,
    ServerFacts,
    check_new,
    clean_address,
    default_name,
    find_server,
)
from playground.core.settings import SettingsStore

#: Options that have no label, since the window does not show them.
_FURTHER = {"ignore_eos": "going on after the end of the text"}


def servers(args: argparse.Namespace) -> int:
    """Run one action. Raises PlaygroundError."""
    console, store = Console(json=args.json), SettingsStore()
    match args.action:
        case "list":
            _list(store.values.servers, console)
        case "add":
            _add(args, store, console)
        case "remove":
            _remove(args.name, store, console)
        case _:
            server = find_server(store.values.servers, args.url)
            with open_session() as session:
                _print_facts(load_from(session, server, args.model, console), console)
    return 0


def _list(known: tuple[KnownServer, ...], console: Console) -> None:
    rows = [("name", "address", "key")]
    for server in known:
        key = server.key_variable or ("in the keyring" if server.in_keyring else "none")
        rows.append((server.name, server.url, key))
        console.event("server", **_fields(server))
    if known:
        console.table(rows, left=(0, 1, 2))
    else:
        console.print("There are no servers. Add one with `playground servers add URL`.")


def _fields(server: KnownServer) -> dict[str, object]:
    """Return a server as JSON fields."""
    fields: dict[str, object] = msgspec.to_builtins(server)
    return {"server": fields.pop("name"), **fields}


def _add(args: argparse.Namespace, store: SettingsStore, console: Console) -> None:
    url = clean_address(args.url)
    server = KnownServer(
        args.name or default_name(url),
        url,
        key_variable=args.key_variable,
        in_keyring=args.keyring,
        plain_key=args.plain_key,
    )
    check_new(store.values.servers, server)
    if args.keyring:
        if not sys.stdin.isatty():
            raise OptionsError(
                "A key for the keyring is typed in a terminal, and there is none.",
                "Run the command in a terminal, or name a variable with --key-variable.",
            )
        if not store_key(url, getpass.getpass("Key: ")):
            raise OptionsError(
                "The system has no keyring that keeps a key.",
                "Name an environment variable that holds it with --key-variable.",
            )
    store.change(servers=(*store.values.servers, server))
    console.event("server", **_fields(server))
    console.print(f"{server.name}: {server.url}")


def _remove(name: str, store: SettingsStore, console: Console) -> None:
    known = store.values.servers
    server = find_server(known, name)
    if server not in known:
        raise OptionsError(
            f"There is no server {name!r}.", "See `playground servers list` for the names."
        )
    if server.in_keyring:
        forget_key(server.url)
    store.change(servers=tuple(one for one in known if one != server))
    console.event("removed", server=server.name)
    console.print(f"{server.name} is forgotten.")


def _print_facts(loaded: LoadedModel, console: Console) -> None:
    facts = loaded.server
    if facts is None:
        return
    console.event("probed", model=loaded.request.name, **msgspec.to_builtins(facts))
    for name, value in _lines(facts):
        console.print(f"{name}: {value}")


def _lines(facts: ServerFacts) -> list[tuple[str, str]]:
    answers = [
        words
        for able, words in ((facts.completions, "continues a text"), (facts.chat, "converses"))
        if able
    ]
    names = LABELS | _FURTHER
    lacks = ", ".join(names.get(option, option).lower() for option in facts.lacks)
    return [
        ("server", facts.label),
        ("precision", facts.precision or "not told"),
        ("context", f"{facts.context_length:,} tokens" if facts.context_length else "not told"),
        ("answers", " and ".join(answers)),
        ("tokens counted by", facts.counted_by.value),
        ("alternatives of a token", str(facts.top_logprobs or "none")),
        ("does not take", lacks or "nothing is missing"),
        ("round trip", seconds_text(facts.round_trip_s)),
    ]
