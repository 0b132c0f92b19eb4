"""From a click to a loaded model and to its first token, by phase.

Each round starts the engine anew, and lets another one wait, imported, before the click (a
standby). Then the weights of a Llama of about 350M parameters are loaded from the page cache
by an engine and by transformers' `from_pretrained` alone. All orders alternate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from playground.cli.console import Console
from playground.cli.options import Parser, positive, precision_list
from playground.client.engine_process import child_environment
from playground.client.session import Session
from playground.core.comparison import alternating, median, ratio
from playground.core.errors import EngineError
from playground.core.facts import LoadRequest
from playground.core.format import ratio_text, seconds_text
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import Activity, Event, Progress
from playground.core.system.resources import resource
from tests.benchmarks import entry
from tests.benchmarks.speed import make_model

ROUNDS = 5
_PROMPT = RawPrompt("Once upon a time")
_OPTIONS = GenerationOptions(max_new_tokens=2, ignore_eos=True)
_FRESH, _STANDBY = "fresh process", "standby engine"
_PHASES = (
    Activity.STARTING,
    Activity.IMPORTING,
    Activity.READING_WEIGHTS,
    Activity.QUANTIZING,
    Activity.WARMING_UP,
    Activity.MEASURING,
)
#: Figures beside the phases, with their heads in the table.
_TOTALS = {
    "to_ready_s": "to ready",
    "first_token_s": "first token",
    "to_first_token_s": "to the first token",
}
#: The fraction of plain `from_pretrained`'s speed to reach.
_TARGET = 0.9


def bench_start(args: argparse.Namespace) -> int:
    """Measure and print both tables. Raises PlaygroundError."""
    console = Console(json=args.json)
    starts = [row for precision in args.precisions for row in _starts(precision, args, console)]
    _print_starts(starts, console)
    weights = None
    if not args.bundled_only:
        weights = _weights(args, console)
        console.print()
        console.print(
            "Weights of 350M parameters from the page cache: "
            f"{seconds_text(weights['load_s'])}; plain from_pretrained: "
            f"{seconds_text(weights['other_load_s'])}; {ratio_text(weights['speed'])} its speed, "
            f"to reach {ratio_text(_TARGET)}: {'met' if weights['reached'] else 'MISSED'}."
        )
    console.print(f"Medians of {args.rounds} rounds in alternating order after an uncounted one.")
    console.event("finished", rounds=args.rounds, starts=starts, weights=weights)
    return 1 if weights is not None and not weights["reached"] else 0


class _Timeline:
    """When each activity began, told by an engine's events."""

    def __init__(self) -> None:
        self._marks: list[tuple[str, float]] = []

    def mark(self, name: str) -> None:
        self._marks.append((name, time.monotonic()))

    def observe(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.mark(event.activity.value)

    def phases(self) -> dict[str, float]:
        """Return the seconds of each, up to the last mark."""
        found: dict[str, float] = defaultdict(float)
        for (name, began), (_, ended) in zip(self._marks, self._marks[1:], strict=False):
            found[name] += ended - began
        return dict(found)


def _starts(
    precision: Precision, args: argparse.Namespace, console: Console
) -> list[dict[str, Any]]:
    """Return a row for each way of starting: seconds by phase, to ready, to the first token."""
    runs: dict[str, list[dict[str, Any]]] = {_FRESH: [], _STANDBY: []}
    for number, way in [(-1, _FRESH), (-1, _STANDBY), *alternating(list(runs), args.rounds)]:
        console.status(f"{precision.value}: {way}, round {number + 1} of {args.rounds}")
        found = _start(precision, way == _STANDBY, args.threads)
        if number >= 0:
            runs[way].append(found)
            console.event("run", precision=precision, way=way, round=number, **found)
    console.end_status()
    return [
        {
            "precision": precision.value,
            "way": way,
            **{name: median([run[name] for run in found]) for name in _TOTALS},
            "phases_s": {
                phase.value: median([run["phases_s"].get(phase.value, 0.0) for run in found])
                for phase in _PHASES
            },
        }
        for way, found in runs.items()
    ]


def _start(precision: Precision, standby: bool, threads: int) -> dict[str, Any]:
    """Load the bundled model once and make two tokens; return phases and totals in seconds."""
    name = "classics-6m-gptq" if precision is Precision.GPTQ else "classics-6m"
    request = LoadRequest(
        name=name,
        folder=str(resource("models") / name),
        commit="",
        precision=precision,
        threads=threads,
    )
    timeline = _Timeline()
    session = Session(timeline.observe)
    if not standby:
        timeline.mark(Activity.STARTING.value)
    clicked = time.monotonic()
    with session:
        if standby:
            session.observe = lambda _: None
            session.ready()
            session.observe = timeline.observe
            clicked = time.monotonic()
        session.load(request)
        ready = time.monotonic()
        timeline.mark("ready")
        session.observe = lambda _: None
        answer = session.generate(_PROMPT, _OPTIONS)
    return {
        "to_ready_s": ready - clicked,
        "first_token_s": answer.times[0],
        "to_first_token_s": ready - clicked + answer.times[0],
        "phases_s": timeline.phases(),
    }


def _print_starts(rows: list[dict[str, Any]], console: Console) -> None:
    phases = [p.value for p in _PHASES if any(row["phases_s"][p.value] for row in rows)]
    lines = [("", "", *phases, *_TOTALS.values())]
    for row in rows:
        cells = [row["phases_s"][name] for name in phases] + [row[name] for name in _TOTALS]
        lines.append((row["precision"], row["way"], *(seconds_text(s) if s else "" for s in cells)))
    console.table(lines, left=(0, 1))
    for fresh, standby in zip(rows[::2], rows[1::2], strict=True):
        gain = ratio(fresh["to_first_token_s"], standby["to_first_token_s"])
        console.print(f"{fresh['precision']}: {ratio_text(gain)} as fast with a standby engine.")


# Weights


def _weights(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="playground-bench-") as temporary:
        console.status("making the random model")
        make_model(Path(temporary))
        folder = Path(temporary) / "plain"
        found: dict[str, list[float]] = {"engine": [], "plain": []}
        for number, who in [(-1, "engine"), (-1, "plain"), *alternating(list(found), args.rounds)]:
            console.status(f"weights: {who}, round {number + 1} of {args.rounds}")
            load_s = _engine_load(folder) if who == "engine" else _plain_load(folder)
            if number >= 0:
                found[who].append(load_s)
        console.end_status()
    speeds = [ratio(b, a) for a, b in zip(found["engine"], found["plain"], strict=True)]
    speed = median(speeds)
    return {
        "load_s": median(found["engine"]),
        "other_load_s": median(found["plain"]),
        "speed": speed,
        "target": _TARGET,
        "reached": speed is not None and speed >= _TARGET,
    }


def _engine_load(folder: Path) -> float:
    """Return the seconds an engine takes for tokenizer and weights, its checks included."""
    request = LoadRequest(
        name=folder.name, folder=str(folder), commit="", precision=Precision.BF16, warm_up=False
    )
    with Session() as session:
        return session.load(request).load_s[Activity.READING_WEIGHTS.value]


def _plain_load(folder: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bare_load", str(folder)],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EngineError(
            "transformers could not load the random model.", "Try `playground doctor`.", done.stderr
        )
    return float(json.loads(done.stdout.splitlines()[-1])["load_s"])


def arguments() -> Parser:
    """Return the parser of the benchmark's options."""
    start = entry.parser(
        "start",
        "The bundled model in a fresh engine and in one that was started ahead, by phase; and the "
        "weights of a random Llama of 350M parameters against plain from_pretrained.",
    )
    start.add_argument("--rounds", type=positive, default=5)
    start.add_argument(
        "--precisions",
        type=precision_list,
        default=(Precision.BF16, Precision.GPTQ),
        metavar="P,P",
    )
    start.add_argument("--threads", type=positive, default=0, help="CPU threads of each")
    start.add_argument("--bundled-only", action="store_true", help="leave the random model out")
    return start


if __name__ == "__main__":
    entry.run(arguments(), bench_start)
