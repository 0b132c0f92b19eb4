"""`playground bench`: times precisions of a model against each other."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any

from playground.cli.console import Console
from playground.cli.interrupts import interrupting
from playground.cli.lanes import Lane, open_lanes
from playground.cli.run import prompt_text
from playground.client.blocking_run import carry_out
from playground.client.session import Interrupted, Session
from playground.core import founding
from playground.core.answer_figures import figures_fields
from playground.core.comparison import median, ratio
from playground.core.errors import EngineError, OptionsError, PlaygroundError
from playground.core.facts import Answer
from playground.core.format import percent_text, rate_text, ratio_text, seconds_text, size_text
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.run_plan import GenerateStep, repeated_run
from playground.hub.source import model_spec

DEFAULT_REPEATS = 5
DEFAULT_NEW_TOKENS = 64
HEAD = (
    "",
    "TTFT",
    "ITL",
    "decode tok/s",
    "of floor",
    "end to end",
    "peak memory",
    "decode",
    "end to end",
)
#: The figures whose medians are reported.
MEASURED = (
    "ttft_s",
    "itl_p50_s",
    "prefill_tok_s",
    "decode_tok_s",
    "floor_s",
    "of_floor",
    "end_to_end_s",
)


def bench(args: argparse.Namespace) -> int:
    """Run the comparison and print medians. Raises PlaygroundError and Interrupted."""
    console = Console(json=args.json)
    if args.founding:
        _refuse_with_founding(args)
        prompt, options, precisions = founding.PROMPT, founding.OPTIONS, founding.PRECISIONS
        repeats = max(args.repeats or 0, founding.MIN_REPEATS)
    else:
        if args.prompt is None:
            raise OptionsError("bench needs a prompt.", "Give --prompt TEXT, or --founding.")
        prompt = RawPrompt(prompt_text(args.prompt, console))
        new_tokens = DEFAULT_NEW_TOKENS if args.new_tokens is None else args.new_tokens
        options = GenerationOptions(max_new_tokens=new_tokens, greedy=True, ignore_eos=True)
        options.check()
        precisions = args.precisions or founding.PRECISIONS
        repeats = args.repeats or DEFAULT_REPEATS
    sessions: list[Session] = []
    with interrupting(sessions) as interrupts, ExitStack() as stack:
        spec = model_spec(args.model, args.revision)
        lanes = open_lanes(stack, spec, precisions, args, sessions, console)
        answers = measure(lanes, prompt, options, repeats, console)
        if interrupts.requested:
            raise Interrupted
    rows = [lane_medians(lane, answers[lane]) for lane in lanes if lane.failure is None]
    if not rows:
        raise _all_failed(lanes)
    add_ratios(rows)
    _print(rows, repeats, console)
    if args.founding:
        _print_founding(rows, console)
    failed = [lane for lane in lanes if lane.failure is not None]
    for lane in failed:
        console.print(f"Not measured: {lane.precision.value}. {lane.failure}")
    console.event(
        "finished",
        repeats=repeats,
        new_tokens=options.max_new_tokens,
        prompt=prompt.text,
        lanes=rows,
        failed=[lane.precision for lane in failed],
        **({"published": _published(), "caveat": founding.CAVEAT} if args.founding else {}),
    )
    mismatched = any(lane.loaded is not None and lane.loaded.mismatch for lane in lanes)
    return 1 if failed or mismatched else 0


def measure(
    lanes: list[Lane],
    prompt: RawPrompt,
    options: GenerationOptions,
    repeats: int,
    console: Console,
) -> dict[Lane, list[Answer]]:
    """Load the lanes and return the answers of each, those of an uncounted warm-up left out."""
    answers: dict[Lane, list[Answer]] = {lane: [] for lane in lanes}

    def begun(step: GenerateStep[Lane], lane: Lane) -> None:
        run = f"run {step.number - len(lanes) + 1} of {step.total - len(lanes)}"
        console.status(f"{lane.precision.value}: {run if step.counted else 'uncounted warm-up'}")

    def answered(step: GenerateStep[Lane], lane: Lane, answer: Answer) -> None:
        if step.counted:
            answers[lane].append(answer)
            fields = lane_fields(lane, answer)
            console.event("run", repeat=step.repeat, precision=lane.precision, **fields)

    carry_out(repeated_run(lanes, prompt, options, repeats), begun, answered)
    console.end_status()
    return answers


def lane_fields(lane: Lane, answer: Answer) -> dict[str, Any]:
    """Return the figures of one answer of a lane."""
    return figures_fields(answer, lane.loaded.floor if lane.loaded else None)


def lane_medians(lane: Lane, answers: list[Answer]) -> dict[str, Any]:
    """Return a lane's medians over its runs, in seconds, tokens per second and bytes."""
    runs = [lane_fields(lane, answer) for answer in answers]
    return {
        "precision": lane.precision.value,
        "verified_precision": lane.loaded.verified.precision if lane.loaded else None,
        "kernel": lane.loaded.kernel if lane.loaded else "",
        "device": lane.loaded.device_name if lane.loaded else "",
        "tokens": len(answers[0].token_ids),
        **{name: median([run[name] for run in runs]) for name in MEASURED},
        "floor_steady": all(run["floor_steady"] for run in runs),
        "peak_memory_bytes": max(run["peak_memory_bytes"] for run in runs),
    }


def add_ratios(rows: list[dict[str, Any]]) -> None:
    """Add to each row the ratios of its decode rate and time to those of the first row."""
    for row in rows:
        for name in ("decode_tok_s", "end_to_end_s"):
            row[f"{name}_ratio"] = ratio(row[name], rows[0][name])


def _print(rows: list[dict[str, Any]], repeats: int, console: Console) -> None:
    lines = [HEAD] + [
        (
            row["precision"],
            seconds_text(row["ttft_s"]),
            seconds_text(row["itl_p50_s"]),
            rate_text(row["decode_tok_s"]),
            percent_text(row["of_floor"], exact=row["floor_steady"]),
            seconds_text(row["end_to_end_s"]),
            size_text(row["peak_memory_bytes"]),
            ratio_text(row["decode_tok_s_ratio"]),
            ratio_text(row["end_to_end_s_ratio"]),
        )
        for row in rows
    ]
    console.table(lines)
    console.print(
        f"Medians of {repeats} runs in alternating order after an uncounted warm-up; the last "
        f"two columns are multiples of {rows[0]['precision']}'s rate and time."
    )


def _print_founding(rows: list[dict[str, Any]], console: Console) -> None:
    published = {f.precision.value: f for f in founding.PUBLISHED}
    reference = published[rows[0]["precision"]].seconds if rows else None
    lines = [("", "here", "× first", "published", "× first", "published for")] + [
        (
            row["precision"],
            seconds_text(row["end_to_end_s"]),
            ratio_text(row["end_to_end_s_ratio"]),
            seconds_text(published[row["precision"]].seconds),
            ratio_text(ratio(published[row["precision"]].seconds, reference)),
            published[row["precision"]].model,
        )
        for row in rows
    ]
    console.print()
    console.print(f"15 tokens, end to end, beside the figures published in {founding.SOURCE}:")
    console.table(lines, left=(0, 5))
    console.print(founding.CAVEAT)


def _published() -> list[dict[str, Any]]:
    return [
        {"precision": f.precision, "seconds": f.seconds, "model": f.model}
        for f in founding.PUBLISHED
    ]


def _refuse_with_founding(args: argparse.Namespace) -> None:
    for name in ("prompt", "precisions", "new_tokens"):
        if getattr(args, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise OptionsError(
                f"The founding comparison has its own prompt, length and precisions, so {option} "
                "cannot be given.",
                f"Leave out {option}, or --founding.",
            )


def _all_failed(lanes: list[Lane]) -> PlaygroundError:
    if len(lanes) == 1 and lanes[0].failure is not None:
        return lanes[0].failure
    return EngineError("No precision could be measured.", "The reasons are above.")
