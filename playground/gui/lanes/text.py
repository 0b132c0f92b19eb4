"""How sizes, times, states and stamps are put into words; no widgets."""

from __future__ import annotations

from playground.core.facts import Answer, LoadedModel
from playground.core.format import clock_text, seconds_text, size_text
from playground.core.lane import LaneState, Stage
from playground.core.protocol import Activity


def stage_text(state: LaneState) -> str:
    """What the lane is at, without the clock; the same words for a screen reader."""
    if state.stage is Stage.EMPTY:
        return state.freed or "not loaded"
    if state.stage is Stage.READY:
        text = "failed, still loaded" if state.failure else "ready"
        size = state.loaded.verified.weight_bytes if state.loaded else 0
        return f"{text} · {size_text(size)}" if size else text
    if state.stage is Stage.FAILED:
        return "failed"
    return _activity_text(state)


def _activity_text(state: LaneState) -> str:
    if state.stage is Stage.UNLOADING or state.activity is None:
        return str(state.stage)
    return str(state.activity)


def status_text(state: LaneState, now: float, waits: bool = False) -> str:
    """The status line: activity, detail and a clock while the lane is busy.

    `waits`: the lane is part of a run, and its turn has not come.
    """
    if not state.busy:
        return "waiting for its turn" if waits and state.stage is Stage.READY else stage_text(state)
    # The clock comes first: a narrow lane elides from the end.
    parts = [_activity_text(state), clock_text(now - state.since)]
    if state.fraction is not None:
        parts.append(f"{state.fraction:.0%}")
    return " · ".join([*parts, state.detail] if state.detail else parts)


def moves(state: LaneState) -> bool:
    """Whether the bar shall move; tokens arriving are movement enough."""
    return state.busy and state.activity is not Activity.GENERATING


def badge_text(loaded: LoadedModel) -> str:
    """What really runs, in few words."""
    verified = loaded.verified
    if verified.precision is not None:
        name = verified.precision.label.partition(" (")[0]
    else:
        name = max(verified.modules, key=lambda k: verified.modules[k], default="unknown")
    if loaded.mismatch:
        return f"{name}, not {loaded.request.precision.label.partition(' (')[0]}"
    return name


def badge_tip(loaded: LoadedModel) -> str:
    """The count behind the badge, line by line."""
    verified = loaded.verified
    lines = [loaded.mismatch] if loaded.mismatch else []
    lines.append("Counted in the loaded model:")
    lines += [f"  {count:,} linear layers {kind}" for kind, count in verified.modules.items()]
    lines += [f"  {size_text(size)} in {dtype}" for dtype, size in verified.bytes_by_dtype.items()]
    if verified.skipped:
        lines.append(f"  left as they were: {', '.join(verified.skipped)}")
    lines += [
        f"Parameters: {loaded.parameters:,} ({loaded.architecture})",
        f"Context: {loaded.context_length:,} tokens",
        f"Kernel: {loaded.kernel}",
        f"Device: {loaded.device_name}",
        f"Memory after loading: {size_text(loaded.memory_bytes)}",
    ]
    if loaded.floor is not None:
        floor = loaded.floor
        cached = size_text(floor.cache_bytes + floor.window_bytes)
        lines.append(
            f"Read for each token: {size_text(floor.weight_bytes)} of weights and {cached} for "
            f"each token before it, at {size_text(round(floor.bandwidth))}/s"
        )
    if loaded.predicted_peak_bytes:
        off = loaded.predicted_peak_bytes / max(1, loaded.peak_bytes) - 1
        lines.append(
            f"Peak while loading: {size_text(loaded.peak_bytes)}, predicted "
            f"{size_text(loaded.predicted_peak_bytes)} ({off:+.0%})"
        )
    if loaded.load_s:
        times = ", ".join(f"{name} {seconds_text(s)}" for name, s in loaded.load_s.items())
        lines.append(f"Loading: {times}")
    return "\n".join([*lines, *loaded.notes])


def headroom_text(left: int | None) -> str:
    """How many more tokens fit into a lane, "" where that is not known."""
    return "" if left is None else f"{left:,} tokens left" if left else "full"


def headroom_tip(used: int, context: int, token_bytes: int, free: int | None) -> str:
    """What the room is made of: the context, and the memory for the cache."""
    lines = []
    if context:
        lines.append(f"Context: {used:,} of {context:,} tokens used")
    if token_bytes and free is not None:
        lines.append(
            f"Memory: {size_text(max(0, free))} free, {size_text(token_bytes)} a token in the cache"
        )
    return "\n".join(lines)


def stamp_line(answer: Answer) -> str:
    """The stamp in one line: what ran and how it ended."""
    stamp = answer.stamp
    real = stamp.verified.precision
    precision = real.label.partition(" (")[0] if real else "unknown precision"
    # A folder without commits has a fingerprint in its place, "sha256:…".
    commit = f"@{stamp.commit.removeprefix('sha256:')[:7]}" if stamp.commit else ""
    options = stamp.options
    how = "greedy" if options.greedy else f"T={options.temperature:g}, seed {options.seed}"
    text = (
        f"{len(answer.token_ids):,} tokens · {answer.stop_reason} · {precision} · "
        f"{stamp.model}{commit} · {stamp.kernel} · {stamp.device} · {how}"
    )
    if stamp.timing == "together":
        text = f"shared the device, not comparable · {text}"
    return text


def stamp_text(answer: Answer) -> str:
    """The whole stamp, one fact a line."""
    stamp = answer.stamp
    real = stamp.verified.precision
    lines = [
        f"Model: {stamp.model}" + (f" at {stamp.commit}" if stamp.commit else ""),
        f"Precision: {real.label if real else 'none of ours'} (counted), "
        f"{stamp.requested_precision.label} (asked for)",
        f"Weights: {size_text(stamp.verified.weight_bytes)}",
        f"Kernel: {stamp.kernel}",
        f"Decoder: {stamp.decoder_text}",
        *([f"Environment: {stamp.environment}"] if stamp.environment else []),
        *([f"The model's own code of commit {stamp.own_code}"] if stamp.own_code else []),
        f"Device: {stamp.device_name} ({stamp.device}), {stamp.threads} threads",
        "Versions: " + ", ".join(f"{k} {v}" for k, v in stamp.versions.items()),
        "Options: "
        + ", ".join(
            f"{name}={getattr(stamp.options, name)!r}" for name in stamp.options.__struct_fields__
        ),
        f"Timing: {stamp.timing}"
        + (" (shared the device, not comparable)" if stamp.timing == "together" else ""),
        f"Prompt: {answer.prompt_tokens:,} tokens"
        + (f" ({answer.reused_tokens:,} kept from the last turn)" if answer.reused_tokens else "")
        + f"; answer: {len(answer.token_ids):,} tokens; "
        f"ended by: {answer.stop_reason}",
        f"Peak memory: {size_text(answer.peak_memory_bytes)}",
        f"Made: {stamp.created}",
    ]
    return "\n".join(lines)
