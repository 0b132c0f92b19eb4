"""Every precision on a GPU, against its memory's bandwidth: `python -m tests.benchmarks.gpu`.

`device_bench` measures in a process of its own; this module prints its figures as tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playground.cli.console import Console
from playground.cli.options import Parser, positive
from playground.client.engine_process import child_environment
from playground.core.errors import EngineError, OptionsError
from playground.core.format import ratio_text, seconds_text, size_text
from playground.core.precision import Precision
from tests.benchmarks import entry

#: No measurement is begun after this; the last one then ends within the 9 minutes.
_SECONDS = 450
_NEW_TOKENS = {"llama-2-7b": 32, "tiny": 8}
_SLOTS = {"llama-2-7b": (512, 4096), "tiny": (512, 1024)}
#: What is to be reached with Llama 2 7B's shape: part of the bandwidth, times bf16's speed,
#: and seconds of the founding comparison.
_FRACTION = {Precision.BF16: 0.8}
_TO_BF16 = {Precision.INT8_WEIGHT_ONLY: 1.6, Precision.NF4: 1.3, Precision.GPTQ: 2.0}
_FOUNDING = {Precision.BF16: 0.075, Precision.INT8_WEIGHT_ONLY: 0.050, Precision.GPTQ: 0.045}
Row = dict[str, Any]


def bench_gpu(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the file. Raises PlaygroundError."""
    if args.device == "cpu" and args.shape != "tiny":
        raise OptionsError(
            "7B parameters would take hours on a CPU.", "Add --shape tiny to try the benchmark."
        )
    console = Console(json=args.json)
    found: dict[str, list[Row]] = {}
    for event in _events(_job(args)):
        name = event.pop("event")
        if name == "status":
            console.status(event["text"])
        elif name == "failed":
            raise EngineError(event["message"], event["remedy"], event["detail"])
        else:
            found.setdefault(name, []).append(event)
    console.end_status()
    targets = args.shape == "llama-2-7b"
    for row in found.get("speed", []):
        _judge_speed(row, targets)
    for row in found.get("founding", []):
        wanted = _FOUNDING.get(row["precision"]) if targets else None
        row["target_s"] = wanted
        row["reached"] = None if wanted is None else row["own_s"] <= wanted
    _print(found, console)
    (conditions,), (end,) = found["conditions"], found["finished"]
    result: dict[str, Any] = {
        "conditions": {**conditions, "seconds": end["seconds"]},
        **{_KEYS[name]: found.get(name, []) for name in _KEYS},
    }
    text = json.dumps(result, indent=1, allow_nan=False) + "\n"
    try:
        args.output.write_text(text, "utf-8")
    except OSError as error:
        raise EngineError(
            f"{args.output} cannot be written: {error.strerror}.", "Give another --output FILE."
        ) from error
    console.print(f"Written to {args.output}.")
    console.event("finished", **result)
    missed = any(row["reached"] is False for row in [*found["speed"], *found["founding"]])
    return 1 if end["failed"] or missed else 0


#: The file's keys for the events of the measuring process.
_KEYS = {
    "model": "models",
    "speed": "speed",
    "founding": "founding",
    "prepared": "preparing",
    "failed precision": "failed",
    "left out": "left_out",
}


def _job(args: argparse.Namespace) -> Row:
    return {
        "shape": args.shape,
        "device": args.device,
        "slots": _SLOTS[args.shape],
        "new_tokens": _NEW_TOKENS[args.shape],
        "rounds": args.rounds,
        "seconds": _SECONDS,
    }


def _events(job: Row) -> Iterator[Row]:
    """Yield the measuring process's events. Raises EngineError where it ends without a last one."""
    command = [sys.executable, "-m", "tests.benchmarks.device_bench", json.dumps(job)]
    with ExitStack() as stack:
        noise = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
        process = stack.enter_context(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=noise, text=True, env=child_environment()
            )
        )
        stack.callback(process.kill)
        last = ""
        for line in process.stdout or ():
            event = json.loads(line)
            last = event["event"]
            yield event
        if last not in ("finished", "failed"):
            process.wait()
            noise.seek(0)
            raise EngineError(
                "The measuring process ended before it was done.",
                "See that no other program fills the device's memory, and run it again.",
                noise.read()[-20_000:],
            )


def _judge_speed(row: Row, targets: bool) -> None:
    """Add the targets, and whether they are met; None where there is no target."""
    precision = row["precision"]
    fraction, to_bf16 = _FRACTION.get(precision), _TO_BF16.get(precision)
    row["target_fraction"] = fraction if targets else None
    row["target_to_bf16"] = to_bf16 if targets else None
    row["reached"] = None
    if row["target_fraction"] is not None:
        row["reached"] = row["fraction"] >= fraction
    elif row["target_to_bf16"] is not None:
        row["reached"] = row["to_bf16"] >= to_bf16


def _print(found: dict[str, list[Row]], console: Console) -> None:
    (conditions,) = found["conditions"]
    bandwidth = conditions["bandwidth_bytes_per_s"]
    console.print(
        f"{conditions['shape']} with random weights on {conditions['device_name']}, "
        f"{conditions['date']}; {size_text(bandwidth)}/s measured ({conditions['bandwidth_kind']})."
    )
    _print_models(found.get("model", []), console)
    _print_speed(found.get("speed", []), console)
    _print_founding(found.get("founding", []), console)
    for row in found.get("failed precision", []):
        console.print(f"{row['precision']} could not be measured: {row['message']}")
    for row in found.get("left out", []):
        console.print(f"Left out for want of time: {row['what']}.")


def _print_models(rows: list[Row], console: Console) -> None:
    lines = [("precision", "kernel", "decoder", "greedy tokens as generate", "weights", "memory")]
    for row in rows:
        equal = f"{row['equal_tokens']} of {row['of']}"
        if row["equal_tokens"] < row["of"]:
            equal += ", then a near tie" if row["correct"] else ", then WRONG"
        memory = size_text(row["memory_bytes"]) if row["memory_bytes"] is not None else "–"
        lines.append(
            (
                row["precision"],
                row["kernel"],
                row["decoder"],
                equal,
                size_text(row["weight_bytes"]),
                memory,
            )
        )
    _table(lines, (0, 1, 2), console)
    for row in rows:
        if row["note"]:
            console.print(f"{row['precision']}: {row['note']}")


def _print_speed(rows: list[Row], console: Console) -> None:
    head = "precision", "slots", "a token", "of bandwidth", "to bf16", "generate", "to it"
    lines = [(*head, "wanted", "")]
    for row in rows:
        wanted = ""
        if row["target_fraction"] is not None:
            wanted = f"{row['target_fraction']:.0%} of bandwidth"
        elif row["target_to_bf16"] is not None:
            wanted = f"{ratio_text(row['target_to_bf16'])} bf16"
        lines.append(
            (
                row["precision"],
                str(row["slots"]),
                seconds_text(row["own_itl_s"]),
                f"{row['fraction']:.0%}",
                ratio_text(row["to_bf16"]),
                seconds_text(row["generate_itl_s"]),
                ratio_text(row["to_generate"]),
                wanted,
                _mark(row),
            )
        )
    _table(lines, (0,), console)


def _print_founding(rows: list[Row], console: Console) -> None:
    lines = [("founding comparison", "15 tokens", "generate", "wanted", "")]
    for row in rows:
        wanted = f"≤ {seconds_text(row['target_s'])}" if row["target_s"] else ""
        lines.append(
            (
                row["precision"],
                seconds_text(row["own_s"]),
                seconds_text(row["generate_s"]),
                wanted,
                _mark(row),
            )
        )
    _table(lines, (0,), console)


def _table(lines: Sequence[tuple[str, ...]], left: tuple[int, ...], console: Console) -> None:
    if len(lines) > 1:
        console.print()
        console.table(lines, left=left)


def _mark(row: Row) -> str:
    return "" if row["reached"] is None else "met" if row["reached"] else "MISSED"


def arguments() -> Parser:
    """Return the parser of the benchmark's options."""
    gpu = entry.parser(
        "gpu",
        "A Llama 2 of 7B random parameters is made on the GPU in every precision: correctness "
        "against generate, the time of a token with 512 and 4,096 cache slots, the founding "
        "comparison. At most 9 minutes.",
    )
    gpu.add_argument("--device", default="cuda:0", metavar="D")
    gpu.add_argument(
        "--shape",
        choices=("llama-2-7b", "tiny"),
        default="llama-2-7b",
        help="tiny with --device cpu tries the benchmark itself",
    )
    gpu.add_argument("--rounds", type=positive, default=3)
    gpu.add_argument(
        "--output",
        type=Path,
        default=Path("playground-bench-gpu.json"),
        metavar="FILE",
        help="gets all figures with their conditions as JSON",
    )
    return gpu


if __name__ == "__main__":
    entry.run(arguments(), bench_gpu)
