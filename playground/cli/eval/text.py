"""`playground eval text`: perplexity, bits per byte and divergence of precisions on one text."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from playground.cli.console import Console
from playground.cli.interrupts import interrupting
from playground.cli.lanes import Lane, open_lanes
from playground.client.score_texts import score_text
from playground.client.session import Interrupted, Session
from playground.core import founding
from playground.core.comparison import default_reference
from playground.core.errors import OptionsError, PlaygroundError
from playground.core.format import NOTHING, percent_text, three_digits
from playground.core.scoring import ScoreRequest, TextScore
from playground.evaluation.text import divergence_figures, text_figures
from playground.hub.source import model_spec

#: A text above this is refused before it reaches an engine (bytes).
MAX_TEXT = 16_000_000
HEAD = (
    "",
    "perplexity",
    "bits/byte",
    "mean KL",
    "median KL",
    "99 % KL",
    "99.9 % KL",
    "same top-1",
    "ln ppl ratio",
    "self-check KL",
    "tokens",
)


def text(args: argparse.Namespace) -> int:
    """Score the text in every precision. Raises PlaygroundError and Interrupted."""
    console = Console(json=args.json)
    request = ScoreRequest(text=read_text(args.file), window=args.window, stride=args.stride)
    request.check()
    precisions = args.precisions or founding.PRECISIONS
    reference = args.reference or precisions[default_reference(precisions)]
    if reference not in precisions:
        precisions = (reference, *precisions)
    sessions: list[Session] = []
    with interrupting(sessions) as interrupts, ExitStack() as stack:
        lanes = open_lanes(
            stack, model_spec(args.model, args.revision), precisions, args, sessions, console
        )
        for lane in lanes:
            lane.load()
        scores = _score(lanes, reference, request, console)
        if interrupts.requested:
            raise Interrupted
    rows = [_fields(lane, scores[lane], lane.precision == reference) for lane in scores]
    for row in rows:
        console.event("text", **row)
    console.table([HEAD, *(_row(row) for row in rows)])
    _print_protocol(scores, console)
    failed = [lane for lane in lanes if lane.failure is not None]
    for lane in failed:
        console.print(f"Not scored: {lane.precision.value}. {lane.failure}")
    console.event("finished", reference=reference, failed=[lane.precision for lane in failed])
    return 1 if failed else 0


def read_text(path: Path) -> str:
    """Return a file's text. Raises OptionsError where it is none, or too large."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TEXT + 1)
    except OSError as error:
        raise OptionsError(
            f"{path} cannot be read: {error.strerror}.", "Check the name."
        ) from error
    if len(data) > MAX_TEXT:
        raise OptionsError(
            f"{path} has more than {MAX_TEXT // 1_000_000} MB.", "Score a part of it."
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise OptionsError(
            f"{path} is not UTF-8 text: line {line:,} has other bytes.", "Save it as UTF-8."
        ) from error


def _score(
    lanes: list[Lane], reference: str, request: ScoreRequest, console: Console
) -> dict[Lane, TextScore]:
    ready = {lane: lane.session for lane in lanes if lane.failure is None}
    chosen = next((lane for lane in ready if lane.precision == reference), None)
    if chosen is None:
        failure = next(lane.failure for lane in lanes if lane.precision == reference)
        raise failure or OptionsError("The reference was not loaded.", "Choose another one.")

    def progress(done: int, of: int) -> None:
        console.status(f"scoring the text, window {min(done + 1, of):,} of {of:,}")

    def failed(lane: Lane, error: PlaygroundError) -> None:
        lane.fail(error)

    found = score_text(ready, chosen, request, failed, progress)
    console.end_status()
    return found


def _fields(lane: Lane, score: TextScore, is_reference: bool) -> dict[str, Any]:
    """Return a lane's figures as JSON fields; those of a comparison are None for the reference."""
    figures = text_figures(score)
    compared = divergence_figures(score.divergence) if score.divergence else None
    check = divergence_figures(score.self_check) if score.self_check else None
    names = (
        "mean_kld",
        "median_kld",
        "kld_99",
        "kld_99_9",
        "max_kld",
        "same_top1",
        "rms_probability_change",
        "ln_ppl_ratio",
        "ln_ppl_ratio_se",
    )
    protocol = score.protocol
    return {
        "precision": lane.precision,
        "reference": is_reference,
        "verified_precision": score.verified.precision,
        "tokens": figures.tokens,
        "bytes": figures.text_bytes,
        "nll": figures.nll,
        "perplexity": figures.perplexity,
        "bits_per_byte": figures.bits_per_byte,
        **{name: getattr(compared, name, None) for name in names},
        "min_k_plus_plus": figures.min_k_plus_plus,
        "self_check": asdict(check) if check else None,
        "protocol": {
            "window": protocol.window,
            "stride": protocol.stride,
            "windows": protocol.windows,
            "bos": protocol.bos,
            "counted": "every token once",
        },
        "kernel": score.kernel,
        "decoder": score.decoder,
    }


def _row(fields: dict[str, Any]) -> tuple[str, ...]:
    check = fields["self_check"]
    return (
        fields["precision"] + (" ★" if fields["reference"] else ""),
        f"{fields['perplexity']:.4f}",
        f"{fields['bits_per_byte']:.4f}",
        *(_small(fields[name]) for name in ("mean_kld", "median_kld", "kld_99", "kld_99_9")),
        percent_text(fields["same_top1"]),
        NOTHING
        if fields["ln_ppl_ratio"] is None
        else f"{fields['ln_ppl_ratio']:+.5f} ± {fields['ln_ppl_ratio_se']:.5f}",
        _small(check and check["mean_kld"]),
        f"{fields['tokens']:,}",
    )


def _small(value: float | None) -> str:
    """Format a divergence in nats: "1.2e-05" below a thousandth."""
    if value is None:
        return NOTHING
    return f"{value:.1e}" if value and value < 1e-3 else three_digits(value)


def _print_protocol(scores: dict[Lane, TextScore], console: Console) -> None:
    protocol = next(iter(scores.values())).protocol
    bos = "one BOS before the text" if protocol.bos else "no BOS: the first token is not counted"
    console.print(
        f"\nWindows of {protocol.window:,} tokens, stride {protocol.stride:,}, every token counted "
        f"once; {bos}. KL(reference‖lane) in nats a token: behaviour changed, without a direction. "
        "Self-check: the same tokens decoded one by one against the window at once; a divergence "
        "no larger than that is the arithmetic's own."
    )
