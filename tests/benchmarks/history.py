"""Measures the history with many runs: the first page of the list, searches, and one whole run."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from playground.cli.console import Console
from playground.cli.options import Parser, positive
from playground.core.comparison import median
from playground.core.facts import ModelSpec
from playground.core.format import seconds_text, size_text
from playground.core.generation import RawPrompt
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.token_record import TokenRecord
from playground.history.reader import HistoryReader
from playground.history.records import RunRequest, RunState
from playground.history.store import HistoryStore
from tests.benchmarks import entry

#: What the window shows at once.
_PAGE = 200
_LANES = (Precision.BF16, Precision.INT8, Precision.GPTQ)
_TOKENS = 128
#: Seconds that each may take, by its name.
_LIMITS = {
    "the first page": 0.3,
    "a rare word": 0.1,
    "two words": 0.1,
    "a common word": 0.1,
    "two letters": 0.1,
    "one run": 0.1,
}


def bench_history(args: argparse.Namespace) -> int:
    """Measure and print. Raises PlaygroundError."""
    console = Console(json=args.json)
    with tempfile.TemporaryDirectory(prefix="playground-") as folder:
        path = Path(folder) / "history.sqlite"
        words = _words()
        console.status(f"writing {args.runs:,} runs")
        began = time.perf_counter()
        _fill(path, args.runs, words)
        per_run = (time.perf_counter() - began) / args.runs
        console.end_status()
        rows: list[dict[str, Any]] = []
        for name, read in _reads(words, args.runs).items():
            seconds = median([_timed(path, read) for _ in range(args.rounds)]) or 0.0
            limit = _LIMITS[name]
            row = {"what": name, "seconds": seconds, "limit_s": limit, "met": seconds <= limit}
            console.event("history", **row)
            rows.append(row)
        size = path.stat().st_size
    table = [("", "time", "limit", "")]
    for found in rows:
        times = (seconds_text(found["seconds"]), seconds_text(found["limit_s"]))
        table.append((found["what"], *times, "met" if found["met"] else "MISSED"))
    console.table(table)
    console.print(
        f"{args.runs:,} runs of {len(_LANES)} lanes with {_TOKENS} tokens: {size_text(size)}, "
        f"{seconds_text(per_run)} a run to write. Medians of {args.rounds}; each opens the file."
    )
    console.event("finished", runs=args.runs, bytes=size, write_s=per_run, rows=rows)
    return 0 if all(row["met"] for row in rows) else 1


def _words() -> list[str]:
    numbers = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return ["".join(numbers.choices(letters, k=numbers.randint(3, 9))) for _ in range(5000)]


def _fill(path: Path, runs: int, words: list[str]) -> None:
    """Write runs whose words are used as often as those of a language, the first ones most."""
    numbers = random.Random(1)
    weights = [1 / (rank + 1) for rank in range(len(words))]
    lanes = tuple(LaneConfig(ModelSpec("bundled"), precision) for precision in _LANES)
    times = tuple(0.1 + token / 50 for token in range(_TOKENS))
    with HistoryStore(path) as store:
        for number in range(runs):
            typed = " ".join(numbers.choices(words, weights, k=20))
            with store.transaction():
                key = str(number)
                store.begin_run(key, RunRequest(typed=typed, lanes=lanes), "", float(number))
                for position in range(len(lanes)):
                    answer = f"{number} {position}"
                    store.begin_answer(answer, key, position, 0, RawPrompt(typed))
                    texts = tuple(f" {w}" for w in numbers.choices(words, weights, k=_TOKENS))
                    store.add_tokens(answer, TokenRecord(tuple(range(_TOKENS)), texts, times))
                store.end_run(key, RunState.FINISHED)


def _reads(words: list[str], runs: int) -> dict[str, Callable[[HistoryReader], object]]:
    return {
        "the first page": lambda reader: reader.runs(limit=_PAGE),
        "a rare word": lambda reader: reader.runs(words[-1], limit=_PAGE),
        "two words": lambda reader: reader.runs(f"{words[40]} {words[900]}", limit=_PAGE),
        "a common word": lambda reader: reader.runs(words[0], limit=_PAGE),
        "two letters": lambda reader: reader.runs("qz", limit=_PAGE),
        "one run": lambda reader: msgspec.to_builtins(reader.run(runs).request),
    }


def _timed(path: Path, read: Callable[[HistoryReader], object]) -> float:
    """Return the seconds of opening the file and reading."""
    began = time.perf_counter()
    with HistoryReader(path) as reader:
        read(reader)
    return time.perf_counter() - began


def arguments() -> Parser:
    """Return the parser of the benchmark's options."""
    history = entry.parser("history", "A history of many runs: listing, searching, opening.")
    history.add_argument("--runs", type=positive, default=10_000)
    history.add_argument("--rounds", type=positive, default=5)
    return history


if __name__ == "__main__":
    entry.run(arguments(), bench_history)
