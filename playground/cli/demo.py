"""Shows the bundled model in three precisions, with or without a screen: `playground demo`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from playground.cli.console import Console, sparkline
from playground.cli.figures import HEAD, row
from playground.cli.interrupts import interrupting
from playground.cli.lanes import Lane, open_lanes
from playground.cli.window import window
from playground.client.blocking_run import carry_out
from playground.client.engine_process import child_environment
from playground.client.session import Interrupted, Session
from playground.core.answer_figures import figures_of
from playground.core.errors import EngineError
from playground.core.facts import Answer, ModelSpec
from playground.core.format import ms_text, printable
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.protocol import Event, Finished, Tokens
from playground.core.run_plan import prompt_run
from playground.core.settings import DEFAULT_LANES
from playground.core.system.qt_platform import usable_platform
from playground.core.trace import LatencyTrace

PROMPT = "Once upon a time"
PICTURE = Path("playground.png")
PICTURE_SIZE = "1440x900"
_PICTURE_WAIT_S = 600.0


def demo(args: argparse.Namespace) -> int:
    """Show the bundled model. Raises PlaygroundError and Interrupted."""
    platform, reason = usable_platform()
    if platform and platform.split(":")[0] not in ("offscreen", "minimal"):
        return window().main(window_arguments(args.new_tokens))
    console = Console()
    why = reason or f"QT_QPA_PLATFORM={platform} shows nothing."
    console.print(f"{why} The comparison runs in this terminal instead.")
    console.print()
    answers = _compare(args, console)
    _print(answers, console)
    _picture(args.new_tokens, console)
    return 0 if len(answers) == len(DEFAULT_LANES) else 1


def window_arguments(new_tokens: int) -> argparse.Namespace:
    """Return arguments for a window that runs the bundled model's lanes at once and stays open."""
    return argparse.Namespace(
        autorun=True,
        prompt=PROMPT,
        screenshot=None,
        theme=None,
        new_tokens=new_tokens,
        model="bundled",
        precisions=",".join(lane.precision for lane in DEFAULT_LANES),
        size=None,
    )


def _compare(args: argparse.Namespace, console: Console) -> dict[Lane, Answer]:
    options = GenerationOptions(max_new_tokens=args.new_tokens, greedy=True)
    options.check()
    precisions = [lane.precision for lane in DEFAULT_LANES]
    where = argparse.Namespace(device="", threads=0, trust_remote_code="")
    sessions: list[Session] = []
    answers: dict[Lane, Answer] = {}
    with interrupting(sessions) as interrupts, ExitStack() as stack:
        lanes = open_lanes(stack, ModelSpec(), precisions, where, sessions, console)

        def begun(_: object, lane: Lane) -> None:
            console.print()
            console.print(f"── {lane.precision.label} ──")
            console.stream(PROMPT)
            lane.session.observe = partial(_stream, console)

        plan = prompt_run(lanes, lambda _: RawPrompt(PROMPT), options, "in turn")
        carry_out(plan, begun, lambda _, lane, answer: answers.update({lane: answer}))
        if interrupts.requested:
            raise Interrupted
    if not answers:
        raise EngineError("The bundled model cannot run here.", "`playground doctor` says why.")
    return answers


def _stream(console: Console, event: Event) -> None:
    """Print tokens as they come, and end the line after the last."""
    if isinstance(event, Tokens):
        console.stream(printable("".join(event.texts)))
    elif isinstance(event, Finished):
        console.stream(printable(event.tail))
        console.print()


def _print(answers: dict[Lane, Answer], console: Console) -> None:
    rows: list[tuple[str, ...]] = [HEAD]
    gaps = {}
    for lane, answer in answers.items():
        floor = lane.loaded.floor if lane.loaded else None
        figures = figures_of(answer, floor)
        rows.append(row(lane.precision.value, figures, answer.peak_memory_bytes))
        gaps[lane] = LatencyTrace(answer.times).inter_token_ms.tolist()
    console.print()
    console.table(rows)
    highest = max((max(values, default=0.0) for values in gaps.values()), default=0.0)
    console.print()
    console.print(f"Latency of every token (ITL), over token number, 0 to {ms_text(highest)}:")
    for lane, values in gaps.items():
        console.print(f"{lane.precision.value:>6} {sparkline(values, highest)}")
    console.print()


def _picture(new_tokens: int, console: Console) -> None:
    """Save a picture of the window. Qt runs in a child process, since it may abort its own."""
    picture = PICTURE.absolute()
    before = picture.stat().st_mtime_ns if picture.exists() else None
    command = [sys.executable, "-m", "playground", "--autorun", "--prompt", PROMPT]
    command += ["--screenshot", str(picture), "--size", PICTURE_SIZE]
    command += ["--model", "bundled", "--new-tokens", str(new_tokens)]
    command += ["--precisions", ",".join(lane.precision for lane in DEFAULT_LANES)]
    console.status("drawing the window")
    try:
        done = subprocess.run(
            command,
            env=child_environment({"QT_QPA_PLATFORM": "offscreen"}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PICTURE_WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            "The window's picture was not ready after ten minutes.", "Try `playground doctor`."
        ) from error
    finally:
        console.end_status()
    after = picture.stat().st_mtime_ns if picture.exists() else None
    if done.returncode != 0 or after is None or after == before:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = words[-1].removeprefix("playground: ") if words else "It printed no reason."
        raise EngineError("The window's picture could not be saved.", reason)
    console.print(f"The window's picture: {picture}")
