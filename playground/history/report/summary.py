"""Computes what a report of a run shows: a lane's texts, its figures, and where it differs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from playground.core.answer_figures import figures_of
from playground.core.comparison import default_reference, median, ratio
from playground.core.difference import Agreement, agreement, different_spans
from playground.core.facts import Answer, Stamp
from playground.core.format import (
    NOTHING,
    ms_text,
    plain_line,
    rate_text,
    ratio_text,
    seconds_text,
    size_text,
)
from playground.core.trace import LatencyFigures
from playground.history.records import KeptAnswer, KeptRun, RunRequest

#: The titles of a lane's figures in a report, in the order of `LaneReport.cells`.
HEAD = (
    "TTFT",
    "ITL p50",
    "ITL p95",
    "ITL p99",
    "prefill tok/s",
    "decode tok/s",
    "to reference",
    "peak",
    "tokens",
    "agreement",
)


@dataclass(frozen=True)
class LaneReport:
    """A lane of a run. `spans` are the words of its first text that the reference does not have.

    `cells` are its figures in words under HEAD: medians of its counted answers.
    """

    position: int
    name: str
    is_reference: bool
    answers: tuple[KeptAnswer, ...]
    failure: str
    agreement: Agreement | None
    spans: tuple[tuple[int, int], ...]
    cells: tuple[str, ...]

    @property
    def first(self) -> KeptAnswer | None:
        return self.answers[0] if self.answers else None

    @property
    def text(self) -> str:
        return self.first.text if self.first else ""

    @property
    def stamp(self) -> Stamp | None:
        return self.first.answer.stamp if self.first and self.first.answer else None

    @property
    def ending(self) -> str:
        """Why the first answer ended, in words."""
        if self.first is None:
            return self.failure or "did not answer"
        return self.first.answer.ending if self.first.answer else "broke off"

    @property
    def conditions(self) -> tuple[tuple[str, str], ...]:
        """What is needed to get the answer again, as pairs of a name and a value."""
        stamp = self.stamp
        if stamp is None:
            return ()
        verified = stamp.verified.precision
        counted = verified.label if verified else ", ".join(stamp.verified.modules)
        return (
            ("Model", f"{stamp.model}, commit {stamp.commit or NOTHING}"),
            ("Precision", f"{counted} (counted), {stamp.requested_precision.label} (requested)"),
            ("Kernel", stamp.kernel),
            ("Decoder", stamp.decoder_text),
            ("Device", f"{stamp.device_name}, {stamp.threads} threads"),
            ("Timing", stamp.timing),
            ("Libraries", ", ".join(f"{name} {v}" for name, v in stamp.versions.items())),
            ("Answered", stamp.created),
        )


@dataclass(frozen=True)
class RunReport:
    """A run as a report shows it, or two runs side by side.

    `also` is what was asked in the second run, None for one run alone.
    """

    run: KeptRun
    created: str  # UTC
    lanes: tuple[LaneReport, ...]
    also: RunRequest | None = None

    @property
    def title(self) -> str:
        """The prompt's beginning on one line."""
        typed = plain_line(" ".join(self.run.request.typed.split()))
        return typed if len(typed) <= 70 else f"{typed[:69]}…"

    @property
    def reference(self) -> LaneReport | None:
        return next((lane for lane in self.lanes if lane.is_reference), None)

    @property
    def options(self) -> tuple[tuple[str, str], ...]:
        """The generation options that had an effect, as pairs of a name and a value."""
        first = _options(self.run.request)
        if self.also is None:
            return tuple(first.items())
        second = _options(self.also)
        values = {
            name: (first.get(name, NOTHING), second.get(name, NOTHING))
            for name in (*first, *second)
        }
        return tuple((name, a if a == b else f"{a} / {b}") for name, (a, b) in values.items())


def _options(request: RunRequest) -> dict[str, str]:
    """Return the options of a run that had an effect, by name, in words."""
    options = request.options
    rows = [("New tokens", f"at most {options.max_new_tokens:,}")]
    if options.greedy:
        rows.append(("Sampling", "greedy"))
    else:
        rows += [
            ("Temperature", f"{options.temperature:g}"),
            ("Top-k", f"{options.top_k:,}"),
            ("Top-p", f"{options.top_p:g}"),
            ("Min-p", f"{options.min_p:g}"),
            ("Seed", str(options.seed)),
        ]
    if options.repetition_penalty != 1.0:
        rows.append(("Repetition penalty", f"{options.repetition_penalty:g}"))
    if options.stop:
        rows.append(("Stop strings", ", ".join(repr(text) for text in options.stop)))
    if request.repeats > 1:
        rows.append(("Repeats", str(request.repeats)))
    return dict(rows)


def summarise(run: KeptRun) -> RunReport:
    """Return a run's report. Its reference is the run's own, else the highest precision."""
    lanes = run.request.lanes
    chosen = run.request.reference
    if chosen is None or not 0 <= chosen < len(lanes):
        chosen = default_reference([lane.precision for lane in lanes])
    figures = [_figures(run.answers_of(position)) for position in range(len(lanes))]
    reference = next(iter(run.answers_of(chosen)), None)
    reports = tuple(
        _lane(run, position, chosen, reference, figures) for position in range(len(lanes))
    )
    return RunReport(run, _when(run), reports)


def compare(first: KeptRun, second: KeptRun) -> RunReport:
    """Return the report of two runs' lanes beside each other; the reference is the first run's."""
    runs = (first, second)
    typed = "\n\n—\n\n".join(dict.fromkeys(run.request.typed for run in runs))
    shift = len(first.request.lanes)
    combined = KeptRun(
        replace(first.row, typed=typed, lanes=first.row.lanes + second.row.lanes),
        msgspec.structs.replace(
            first.request,
            typed=typed,
            lanes=first.request.lanes + second.request.lanes,
            reference=next(lane.position for lane in summarise(first).lanes if lane.is_reference),
        ),
        (
            *first.answers,
            *(replace(kept, position=kept.position + shift) for kept in second.answers),
        ),
    )
    report = summarise(combined)
    whens = [_when(run) for run in runs]
    marks = whens if whens[0] != whens[1] else [f"run {run.row.id}" for run in runs]
    lanes = tuple(
        replace(lane, name=f"{lane.name} ({marks[lane.position >= shift]})")
        for lane in report.lanes
    )
    return replace(report, created=" and ".join(whens), lanes=lanes, also=second.request)


def agreement_text(lane: LaneReport) -> str:
    """Return how far a lane agrees with the reference, in words."""
    if lane.is_reference:
        return "reference"
    if lane.agreement is None:
        return NOTHING
    if lane.agreement.whole:
        return f"all {lane.agreement.of:,} tokens"
    return f"{lane.agreement.tokens:,} of {lane.agreement.of:,} tokens"


def _when(run: KeptRun) -> str:
    return datetime.fromtimestamp(run.row.created, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _lane(
    run: KeptRun,
    position: int,
    chosen: int,
    reference: KeptAnswer | None,
    figures: list[list[tuple[LatencyFigures, Answer]]],
) -> LaneReport:
    answers = run.answers_of(position)
    found, spans = None, tuple[tuple[int, int], ...]()
    if answers and reference is not None and position != chosen:
        # Lanes of one model have one tokenizer.
        same = run.request.lanes[position].model == run.request.lanes[chosen].model
        found = agreement(reference.tokens, answers[0].tokens, same_tokenizer=same)
        if not found.whole:
            spans = different_spans(reference.text, answers[0].text, found.characters)
    lane = LaneReport(
        position=position,
        name=lane_name(run, position),
        is_reference=position == chosen,
        answers=answers,
        failure=run.row.lanes[position].failure,
        agreement=found,
        spans=spans,
        cells=(),
    )
    cells = (*_cells(figures[position], figures[chosen]), agreement_text(lane))
    return replace(lane, cells=cells)


def lane_name(run: KeptRun, position: int) -> str:
    """Return a lane's name: its model and its precision, as counted or as requested."""
    lane = run.request.lanes[position]
    counted = run.row.lanes[position].precision
    if counted is not None and not lane.server:
        lane = replace(lane, precision=counted)
    answers = [a.answer for a in run.answers_of(position) if a.answer is not None]
    model = answers[0].stamp.model if answers else lane.model.source
    return " · ".join(filter(None, (model, lane.how)))


def _figures(answers: tuple[KeptAnswer, ...]) -> list[tuple[LatencyFigures, Answer]]:
    return [(figures_of(a.answer, a.floor), a.answer) for a in answers if a.answer is not None]


def _cells(
    lane: list[tuple[LatencyFigures, Answer]], reference: list[tuple[LatencyFigures, Answer]]
) -> tuple[str, ...]:
    p50 = median([figures.p50_ms for figures, _ in lane])
    of_reference = ratio(p50, median([figures.p50_ms for figures, _ in reference]))
    tokens = median([float(figures.tokens) for figures, _ in lane])
    return (
        seconds_text(median([figures.ttft_s for figures, _ in lane])),
        ms_text(p50),
        ms_text(median([figures.p95_ms for figures, _ in lane])),
        ms_text(median([figures.p99_ms for figures, _ in lane])),
        rate_text(median([figures.prefill_tok_s for figures, _ in lane])),
        rate_text(median([figures.decode_tok_s for figures, _ in lane])),
        ratio_text(of_reference),
        size_text(median([float(answer.peak_memory_bytes) for _, answer in lane])),
        NOTHING if tokens is None else f"{tokens:,.0f}",
    )
