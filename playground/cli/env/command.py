"""Lists, checks, adds, creates and removes the Python environments of engines."""

from __future__ import annotations

import argparse
import shutil

from playground.cli.console import Console
from playground.cli.interrupts import on_interrupt
from playground.client.environment_builder import Builder, Cancelled, remove_folder
from playground.client.environments import check, look, precisions, shown_versions
from playground.core.environments import EngineEnvironment, check_new, default_name, find
from playground.core.errors import PlaygroundError
from playground.core.facts import EngineFacts
from playground.core.settings import SettingsStore
from playground.core.system.paths import full_path


def env(args: argparse.Namespace) -> int:
    """Run one action. Raises PlaygroundError."""
    console, store = Console(json=args.json), SettingsStore()
    known = store.values.environments
    match args.action:
        case "list":
            return _list(known, console)
        case "check":
            environment = find(known, args.name)
            _print_environment(environment, check(environment), console)
        case "add":
            _add(args, store, console)
        case "create":
            _create(args.name or args.kind, store, console)
        case _:
            environment = find(known, args.name)
            deleted = remove_folder(environment)
            store.change(environments=tuple(e for e in known if e != environment))
            console.event("removed", environment=environment.name, deleted=str(deleted or ""))
            console.print(
                f"{environment.name} is removed, and {deleted} deleted."
                if deleted
                else f"{environment.name} is forgotten; {environment.python} is left as it is."
            )
    return 0


def _list(known: tuple[EngineEnvironment, ...], console: Console) -> int:
    rows = [("name", "Python", "version")]
    for environment in known:
        try:
            version = look(environment.python)
        except PlaygroundError as error:
            version = error.message
        rows.append((environment.name, environment.python, version))
        console.event(
            "environment", environment=environment.name, python=environment.python, version=version
        )
    if not known:
        console.print(
            "There are no environments. Create one with `playground env create auto-gptq`."
        )
    else:
        console.table(rows, left=(0, 1, 2))
    return 0


def _add(args: argparse.Namespace, store: SettingsStore, console: Console) -> None:
    # Not resolved: a virtual environment's executable is a link to another Python.
    python = full_path(args.python)
    environment = EngineEnvironment(args.name or default_name(python), str(python))
    check_new(store.values.environments, environment.name)
    console.status("starting an engine")
    facts = check(environment)
    console.end_status()
    store.change(environments=(*store.values.environments, environment))
    _print_environment(environment, facts, console)


def _create(name: str, store: SettingsStore, console: Console) -> None:
    check_new(store.values.environments, name)
    builder = Builder(name)

    def progress(text: str, fraction: float) -> None:
        console.event("progress", text=text, fraction=fraction)
        room = max(30, shutil.get_terminal_size().columns - 8)
        console.status(f"{fraction:.0%} {text[:room]}")

    try:
        with on_interrupt(builder.cancel):
            environment = builder.build(progress)
    except Cancelled:
        raise KeyboardInterrupt from None
    finally:
        console.end_status()
    store.change(environments=(*store.values.environments, environment))
    _print_environment(environment, check(environment), console)


def _print_environment(
    environment: EngineEnvironment, facts: EngineFacts, console: Console
) -> None:
    versions = shown_versions(facts)
    reasons = precisions(facts)
    console.event(
        "environment",
        environment=environment.name,
        python=environment.python,
        version=facts.python,
        versions=versions,
        precisions={p.value: reason for p, reason in reasons.items()},
    )
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    console.print(f"{environment.name}: Python {facts.python}, {listed}")
    console.print(f"runs {', '.join(p.value for p, reason in reasons.items() if not reason)}")
    for precision, reason in reasons.items():
        if reason:
            console.print(f"{precision.value}: {reason}")
