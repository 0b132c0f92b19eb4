"""The words of the History window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from playground.core.format import NOTHING, plain_line
from playground.history.records import LaneRow, RunRow, RunState
from playground.history.report.summary import LaneReport, agreement_text

#: Characters of a prompt in a message.
_SHORT = 40


def when_text(created: float) -> str:
    """Return a Unix time as local date and time."""
    return datetime.fromtimestamp(created).strftime("%Y-%m-%d %H:%M")


def lanes_text(row: RunRow) -> str:
    """Return a run's lanes in short, and how it ended unless it finished."""
    by_model: dict[str, list[str]] = {}
    for lane in row.lanes:
        by_model.setdefault(lane.model, []).append(_precision(lane))
    parts = [f"{', '.join(p)} · {model_name(model)}" for model, p in by_model.items()]
    ending = () if row.state is RunState.FINISHED else (row.state.value,)
    return "; ".join((*ending, *parts))


def model_name(source: str) -> str:
    """Return the last part of a model's id or folder, on one line."""
    return plain_line(source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1])


def run_text(typed: str) -> str:
    """Return a run's prompt in short, in quotation marks."""
    line = plain_line(typed.strip())
    return f"“{line if len(line) <= _SHORT else line[: _SHORT - 1] + '…'}”"


def runs_text(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def lane_line(lane: LaneReport) -> str:
    """Return what stands below a lane's name: how far it agrees, and how it ended."""
    if lane.is_reference:
        return f"reference; {lane.ending}"
    agreement = agreement_text(lane)
    return lane.ending if agreement == NOTHING else f"agrees for {agreement}; {lane.ending}"


def gone_text(gone: Sequence[str]) -> str:
    """Return a sentence on what a run's lanes need and this machine lacks, "" for nothing."""
    if not gone:
        return ""
    is_are = "is" if len(gone) == 1 else "are"
    return f"{', '.join(gone)} {is_are} not on this machine: choose another for the lane."


def _precision(lane: LaneRow) -> str:
    return lane.precision.short_label if lane.precision else NOTHING
