"""The cached decode loop against `generate`, and llama.cpp: `python -m tests.benchmarks.speed`.

Everything runs in one session, in alternating order: the bundled model, where Python's own
time rules, and a Llama of about 350M random parameters, where reading the weights does.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from playground.cli.console import Console
from playground.cli.options import Parser, positive
from playground.client.session import Session
from playground.core.choices import DecoderChoice
from playground.core.comparison import alternating, median, ratio
from playground.core.errors import EngineError
from playground.core.facts import LoadRequest
from playground.core.format import ratio_text, seconds_text
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.system.resources import resource
from tests.benchmarks import entry

ROUNDS = 5
NEW_TOKENS = 48
_PROMPT = RawPrompt("Alice was beginning to get very tired of sitting by her sister on the bank")
_BUNDLED = (Precision.BF16, Precision.GPTQ)
_TARGET = 2.0  # times generate, on the bundled model
#: Our precision, llama.cpp's kind of the same width, and the speed to reach.
_PEERS = (
    (Precision.FP32, "f32", 1.0),
    (Precision.BF16, "bf16", 1.0),
    (Precision.INT8_WEIGHT_ONLY, "q8_0", 1.0),
    (Precision.GPTQ, "q4_0", 0.9),
)


@dataclass(eq=False)
class _Runner:
    """Something that decodes: `run` returns the gaps between tokens, in seconds."""

    name: str
    run: Callable[[], list[float]]
    medians: list[float] = field(default_factory=list)


def bench_speed(args: argparse.Namespace) -> int:
    """Measure and print both tables. Raises PlaygroundError."""
    console = Console(json=args.json)
    rows = _bundled(args, console)
    if not args.bundled_only:
        rows += _large(args, console)
    lines = [("model", "precision", "against", "cached loop", "the other", "speed", "to reach", "")]
    for row in rows:
        reached = "" if row["reached"] is None else "met" if row["reached"] else "MISSED"
        lines.append(
            (
                row["model"],
                row["precision"],
                row["against"],
                seconds_text(row["itl_s"]),
                seconds_text(row["other_itl_s"]),
                ratio_text(row["speed"]),
                ratio_text(row["target"]) if row["target"] else "",
                reached,
            )
        )
    console.table(lines, left=(0, 1, 2))
    console.print(
        f"Median inter-token latency of {args.rounds} rounds in alternating order, after an "
        f"uncounted one; {NEW_TOKENS} tokens each, {args.threads} threads."
    )
    console.event("finished", rounds=args.rounds, threads=args.threads, rows=rows)
    return 1 if any(row["reached"] is False for row in rows) else 0


def _bundled(args: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    rows = []
    for precision in _BUNDLED:
        name = "classics-6m-gptq" if precision is Precision.GPTQ else "classics-6m"
        folder = resource("models") / name
        with ExitStack() as stack:
            own = _engine(stack, folder, precision, "auto", args.threads)
            generate = _engine(stack, folder, precision, "generate", args.threads)
            _measure([own, generate], args.rounds, f"bundled, {precision.value}", console)
        rows.append(_row("bundled", precision.value, own, generate, _TARGET))
    return rows


def _large(args: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    peer = find_spec("llama_cpp") is not None and find_spec("gguf") is not None
    if not peer:
        console.print(
            "Without llama.cpp's binding: install the extra [peer] to measure against it.",
        )
    rows = []
    with tempfile.TemporaryDirectory(prefix="playground-bench-") as temporary:
        folder = Path(temporary)
        console.status("making the random model")
        make_model(folder)
        for precision, kind, target in _PEERS:
            source = folder / ("gptq" if precision is Precision.GPTQ else "plain")
            with ExitStack() as stack:
                own = _engine(stack, source, precision, "auto", args.threads)
                others = [_engine(stack, source, precision, "generate", args.threads)]
                if peer:
                    others.append(_llama(stack, folder / "plain", kind, args.threads))
                _measure([own, *others], args.rounds, f"350M, {precision.value}", console)
            rows.append(_row("350M", precision.value, own, others[0], None))
            rows += [_row("350M", precision.value, own, other, target) for other in others[1:]]
    return rows


def make_model(folder: Path) -> None:
    """Write the random model into the folder. Raises EngineError."""
    command = [sys.executable, "-m", "tests.benchmarks.random_model", str(folder)]
    command.append(str(resource("models") / "classics-6m"))
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise EngineError(
            "The random model could not be written.",
            "Make sure that 2 GB are free in the folder for temporary files.",
            made.stderr,
        )


def _engine(
    stack: ExitStack, folder: Path, precision: Precision, decoder: DecoderChoice, threads: int
) -> _Runner:
    session = stack.enter_context(Session())
    session.load(
        LoadRequest(
            name=folder.name,
            folder=str(folder),
            commit="",
            precision=precision,
            threads=threads,
            decoder=decoder,
        )
    )
    options = GenerationOptions(max_new_tokens=NEW_TOKENS, ignore_eos=True)

    def run() -> list[float]:
        ready_at = session.generate(_PROMPT, options).times
        return [later - sooner for sooner, later in itertools.pairwise(ready_at)]

    return _Runner("generate" if decoder == "generate" else "cached loop", run)


def _llama(stack: ExitStack, folder: Path, kind: str, threads: int) -> _Runner:
    command = [sys.executable, "-m", "tests.benchmarks.llama_peer", str(folder), kind]
    process = stack.enter_context(
        subprocess.Popen(
            [*command, str(NEW_TOKENS), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    )
    stack.callback(process.kill)

    def answer() -> dict[str, list[float]]:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise EngineError(
                f"llama.cpp could not run the model as {kind}.",
                "Install the extra [peer] again, or run with --bundled-only.",
            )
        found: dict[str, list[float]] = json.loads(line)
        return found

    def run() -> list[float]:
        if process.stdin:
            process.stdin.write("\n")
            process.stdin.flush()
        return answer()["itl_s"]

    answer()  # loaded
    return _Runner(f"llama.cpp {kind}", run)


def _measure(runners: list[_Runner], rounds: int, what: str, console: Console) -> None:
    for runner in runners:
        console.status(f"{what}: {runner.name}, uncounted")
        runner.run()
    for number, runner in alternating(runners, rounds):
        console.status(f"{what}: {runner.name}, round {number + 1} of {rounds}")
        runner.medians.append(statistics.median(runner.run()))
    console.end_status()


def _row(
    model: str, precision: str, own: _Runner, other: _Runner, target: float | None
) -> dict[str, Any]:
    """Return the seconds a token of both, and our speed as a multiple of the other's."""
    speeds = [ratio(b, a) for a, b in zip(own.medians, other.medians, strict=True)]
    speed = median([value for value in speeds if value is not None])
    return {
        "model": model,
        "precision": precision,
        "against": other.name,
        "itl_s": median(own.medians),
        "other_itl_s": median(other.medians),
        "speed": speed,
        "target": target,
        "reached": None if target is None or speed is None else speed >= target,
    }


def arguments() -> Parser:
    """Return the parser of the benchmark's options."""
    speed = entry.parser(
        "speed",
        "The bundled model and a random Llama of 350M parameters, decoded by the playground's "
        "cached loop, by transformers' generate and (with the extra [peer]) by llama.cpp.",
    )
    speed.add_argument("--rounds", type=positive, default=ROUNDS)
    speed.add_argument("--threads", type=positive, default=2, help="CPU threads of each")
    speed.add_argument("--bundled-only", action="store_true", help="leave the random model out")
    return speed


if __name__ == "__main__":
    entry.run(arguments(), bench_speed)
