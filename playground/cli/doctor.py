"""Finds out what works on this machine by trying it: `playground doctor`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil

from playground import __version__
from playground.cli.console import Console
from playground.cli.interrupts import interrupting
from playground.client.session import Interrupted, Session
from playground.core.answer_figures import figures_of
from playground.core.errors import PlaygroundError
from playground.core.facts import EngineFacts, LoadedModel
from playground.core.format import NOTHING, rate_text, size_text
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.lane import LaneConfig
from playground.core.precision import LOADABLE, Precision
from playground.core.protocol import Activity, Event, Progress
from playground.core.system import paths
from playground.core.system.machine import machine_memory
from playground.core.system.qt_platform import (
    libraries_sentence,
    missing_libraries,
    usable_platform,
)
from playground.hub.local.cache import cache_folder
from playground.hub.local.prepare import choose_device, prepare

_PROMPT = RawPrompt("The old house stood at the end of")
_OPTIONS = GenerationOptions(max_new_tokens=16, greedy=True, ignore_eos=True)
_QUICK = (Precision.BF16,)
_HUB_MODELS = "Hugging Face models"


class Trial(msgspec.Struct, kw_only=True):
    """The result of loading the bundled model in a precision and generating from it."""

    precision: Precision
    works: bool
    kernel: str = ""
    decode_tok_s: float | None = None
    memory_bytes: int = 0
    problem: str = ""
    notes: tuple[str, ...] = ()


def doctor(args: argparse.Namespace) -> int:
    """Print the findings; return 1 where the bundled model cannot run. Raises Interrupted."""
    console = Console(json=args.json)
    sessions: list[Session] = []
    facts: EngineFacts | None = None
    trials: list[Trial] = []
    with interrupting(sessions) as interrupts:
        # bf16 goes first: what it needs, all others need too.
        for precision in _QUICK if args.quick else _in_order():
            trial, found = _try(precision, sessions, console)
            if interrupts.requested:
                raise Interrupted
            if facts is None and found is not None:
                facts = found
                _print_machine(facts, console)
            trials.append(trial)
            console.event("precision", **msgspec.to_builtins(trial))
    console.end_status()
    _print_precisions(trials, console)
    screen_ok = _print_screen(console)
    _print_folders(console)
    runs = any(t.works for t in trials)
    console.event(
        "finished",
        bundled_model_runs=runs,
        precisions=[t.precision for t in trials if t.works],
        screen=screen_ok,
    )
    if not runs:
        console.warn(f"The bundled model cannot run here. {trials[0].problem}".strip())
        return 1
    return 0


def _in_order() -> tuple[Precision, ...]:
    return (Precision.BF16, *(p for p in LOADABLE if p is not Precision.BF16))


def _try(
    precision: Precision, sessions: list[Session], console: Console
) -> tuple[Trial, EngineFacts | None]:
    def observe(event: Event) -> None:
        if isinstance(event, Progress) and event.activity is not Activity.READING_PROMPT:
            console.status(f"trying {precision.value}: {event.activity.label}")

    session = Session(observe)
    sessions.append(session)
    loaded: LoadedModel | None = None
    try:
        with session:
            facts = session.ready()
            bundled = LaneConfig(precision=precision, device=choose_device("", facts))
            loaded = session.load(prepare(bundled, facts).request)
            answer = session.generate(_PROMPT, _OPTIONS)
            memory = session.engine.memory_bytes()
    except PlaygroundError as error:
        sentence = " ".join(str(error).split())
        return Trial(precision=precision, works=False, problem=sentence), session.facts
    trial = Trial(
        precision=precision,
        works=not loaded.mismatch,
        kernel=loaded.kernel,
        decode_tok_s=figures_of(answer, loaded.floor).decode_tok_s,
        memory_bytes=memory,
        problem=loaded.mismatch,
        notes=loaded.notes,
    )
    return trial, facts


def _print_machine(facts: EngineFacts, console: Console) -> None:
    memory = machine_memory()
    console.event(
        "machine",
        playground=__version__,
        python=facts.python,
        devices=msgspec.to_builtins(facts.devices),
        versions=facts.versions,
        probes=msgspec.to_builtins(facts.probes),
        memory_bytes=memory.total,
        memory_free_bytes=memory.free,
    )
    versions = " · ".join(f"{name} {version}" for name, version in facts.versions.items())
    console.print(f"playground {__version__} · Python {facts.python} · {versions}")
    console.print()
    rows = [("device", "name", "memory", "free", "capability")] + [
        (d.id, d.name, size_text(d.total_bytes), size_text(d.free_bytes), d.capability)
        for d in facts.devices
    ]
    console.table(rows, left=(0, 1, 4))
    console.print()
    for name, probe in facts.probes.items():
        if not probe.ok:
            console.print(f"{name}: {probe.detail} {probe.remedy}".rstrip())


def _print_precisions(trials: list[Trial], console: Console) -> None:
    rows = [("precision", "works", "tok/s", "process memory", "kernel")] + [
        (
            t.precision.value,
            "yes" if t.works else "no",
            rate_text(t.decode_tok_s),
            size_text(t.memory_bytes or None),
            t.kernel or NOTHING,
        )
        for t in trials
    ]
    console.table(rows, left=(0, 1, 4))
    for trial in trials:
        for sentence in filter(None, (trial.problem, *trial.notes)):
            console.print(f"{trial.precision.value}: {sentence}")
    console.print()


def _print_screen(console: Console) -> bool:
    name, reason = usable_platform()
    lacking = missing_libraries(name or "xcb") if sys.platform.startswith("linux") else {}
    console.event("screen", platform=name, reason=reason, missing_libraries=list(lacking))
    console.print(f"screen: {name}" if name else f"screen: none. {reason}")
    if lacking and reason != (sentence := libraries_sentence(lacking)):
        console.print(sentence)  # a screen may come later
    return bool(name)


def _print_folders(console: Console) -> None:
    folders = {
        "settings": paths.config_dir(),
        "data": paths.data_dir(),
        "cache": paths.cache_dir(),
        "logs": paths.log_dir(),
        _HUB_MODELS: cache_folder(),
    }
    places = {name: _existing(folder) for name, folder in folders.items()}
    free = {name: int(psutil.disk_usage(str(place)).free) for name, place in places.items()}
    writable = {name: _takes_files(place) for name, place in places.items()}
    fields: dict[str, Any] = {
        name: {
            "folder": str(folder),
            "free_bytes": free[name],
            "writable": writable[name],
        }
        for name, folder in folders.items()
    }
    console.event("folders", folders=fields)
    console.print()
    rows = [("folder", "free", "where")]
    rows += [(name, size_text(free[name]), str(folder)) for name, folder in folders.items()]
    console.table(rows, left=(0, 2))
    for name in folders:
        if not writable[name]:
            variable = "HF_HOME" if name == _HUB_MODELS else paths.HOME_VARIABLE
            console.print(
                f"{name}: nothing can be written to {folders[name]}. Make the folder writable, "
                f"or name another one in {variable}."
            )


def _takes_files(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists and is accessible."""
    return next(p for p in (folder, *folder.parents) if os.path.exists(p))  # noqa: PTH110
