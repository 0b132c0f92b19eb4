"""The words for a lane's state, its model, its headroom and the stamps of its answers."""

from __future__ import annotations

from collections.abc import Sequence

from playground.core.answer_figures import count_text
from playground.core.facts import Answer, LoadedModel
from playground.core.format import clock_text, seconds_text, size_text
from playground.core.generation import LABELS, GenerationOptions, Timing
from playground.core.lane import Failure, LaneState, Stage
from playground.core.protocol import Activity
from playground.core.servers import ServerFacts

#: Shown where an engine gives no sign of life, or does not stop.
NO_REACTION = Failure(
    "The engine does not react.", "Wait, or end its process with End engine; the text is kept."
)
_CONCURRENT = "ran concurrently; timings not comparable"
#: How an answer ended, in as few words as a narrow lane has room for.
_ENDINGS = {
    "length": "limit",
    "eos": "ended by the model",
    "stop string": "stop string",
    "cancelled": "stopped",
    "context full": "context full",
    "not numbers": "logits are not numbers",
}


def stage_text(state: LaneState) -> str:
    """Return the lane's stage without a clock, as a screen reader says it too."""
    if state.unresponsive:
        return "not reacting"
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
    return state.activity.label


def status_text(
    state: LaneState, now: float, queued: bool = False, *, clock_first: bool = False
) -> str:
    """Return the status line: the activity with a clock and details while the lane is busy.

    `queued`: the lane is part of a run, and its turn has not come. `clock_first`: where the end
    may be cut off.
    """
    if not state.busy:
        waits = queued and state.stage is Stage.READY
        return "waiting for its turn" if waits else stage_text(state)
    # The details come last: a narrow lane elides them first.
    parts = [_activity_text(state), clock_text(now - state.since)]
    if state.unresponsive:
        return " · ".join([stage_text(state), *parts])
    if clock_first:
        parts.reverse()
    if state.fraction is not None:
        parts.append(f"{state.fraction:.0%}")
    return " · ".join([*parts, state.detail] if state.detail else parts)


def hint_text(state: LaneState, queued: bool) -> str:
    """Return what the lane's empty text view says about what to do, or what happens next."""
    match state.stage:
        case Stage.EMPTY:
            return "Press Ctrl+Enter to load this lane and run the prompt, or Load to load it only."
        case Stage.READY if queued:
            return "This lane runs when all lanes are loaded and its turn has come."
        case Stage.READY:
            return "Ready. Type a prompt and press Ctrl+Enter."
        case Stage.FAILED:
            return ""
        case Stage.GENERATING:
            return "The answer will appear here."
        case Stage.UNLOADING:
            return "Freeing the memory …"
        case _:
            return "Loading. The first load takes a few seconds."


def shows_progress(state: LaneState) -> bool:
    """Return whether the progress bar moves; arriving tokens show progress by themselves."""
    return state.busy and state.activity is not Activity.GENERATING


def badge_texts(loaded: LoadedModel) -> list[str]:
    """Return the precision that was verified, and the requested one where it differs.

    Shorter texts follow, for where space is short: they keep what most weights are stored as.
    """
    if loaded.server is not None:
        return [loaded.server.precision or "precision not told"]
    text, shares = loaded.verified.text, loaded.verified.shares
    if len(shares) > 1:  # these explain themselves
        kind, share = next(iter(shares.items()))
        return [text, f"{kind} {share:.0%} …", f"{kind} {share:.0%}", kind]
    if loaded.mismatch:
        return [f"{text}, not {loaded.request.precision.short_label}", text]
    return [text]


def badge_tip(loaded: LoadedModel) -> str:
    """Return what the badge summarizes: layers, bytes, device, memory and load times by line."""
    if loaded.server is not None:
        return "\n".join(server_lines(loaded.server))
    verified = loaded.verified
    lines = [loaded.mismatch] if loaded.mismatch else []
    lines.append(f"Counted in the loaded model: {verified.explained}")
    lines += [f"  {count:,} linear layers {kind}" for kind, count in verified.modules.items()]
    lines += [f"  {size_text(size)} in {dtype}" for dtype, size in verified.bytes_by_dtype.items()]
    if verified.skipped:
        lines.append(f"  not quantized: {', '.join(verified.skipped)}")
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
            f"Read for each token: {size_text(floor.weight_bytes)} of weights and {cached} of "
            f"KV cache for each token before it, at {size_text(round(floor.bandwidth))}/s"
            + ("" if floor.steady else " (approximate: other programs disturbed its measurement)")
        )
    if loaded.predicted_peak_bytes:
        off = loaded.predicted_peak_bytes / max(1, loaded.peak_bytes) - 1
        lines.append(
            f"Peak while loading: {size_text(loaded.peak_bytes)}, predicted "
            f"{size_text(loaded.predicted_peak_bytes)} ({off:+.0%})"
        )
    if loaded.load_s:
        labels = {activity.value: activity.label for activity in Activity}
        times = ", ".join(
            f"{labels.get(name, name)} {seconds_text(s)}" for name, s in loaded.load_s.items()
        )
        lines.append(f"Loading: {times}")
    return "\n".join([*lines, *loaded.notes])


def server_lines(server: ServerFacts) -> list[str]:
    """Return what a server told of itself, one fact a line."""
    answers = [
        words
        for able, words in ((server.completions, "continues texts"), (server.chat, "converses"))
        if able
    ]
    lacks = [LABELS[option].lower() for option in server.lacks if option in LABELS]
    context = f"{server.context_length:,} tokens" if server.context_length else "not told"
    return [
        f"Precision, as the server says: {server.precision or 'not told'}",
        f"Server: {server.label} at {server.url}",
        f"Context: {context}",
        f"It {' and '.join(answers)}; its tokens are counted by {server.counted_by.value}",
        f"Times: measured here, network included (round trip {seconds_text(server.round_trip_s)})",
        *([f"It does not take: {', '.join(lacks)}"] if lacks else []),
    ]


def headroom_text(left: int | None, prompt: int = 0, *, narrow: bool = False) -> str:
    """Return how many more tokens fit into a lane, "" where that is unknown.

    `prompt` are the tokens of the prompt that is being typed, 0 where they are not known.
    """
    if is_too_long(left, prompt):
        return f"prompt {prompt:,}: too long"
    if left is None:
        return f"prompt {prompt:,}" if prompt else ""
    if not left:
        return "context full"
    if prompt:
        return f"{prompt:,} + {left:,} left" if narrow else f"prompt {prompt:,} · {left:,} left"
    return f"{left:,} left" if narrow else f"context: {left:,} left"


def is_too_long(left: int | None, prompt: int) -> bool:
    """Return whether a prompt leaves no room for an answer."""
    return left is not None and prompt > 0 and prompt >= left


def headroom_tip(used: int, context: int, token_bytes: int, free: int | None) -> str:
    """Return what limits the headroom: the context (tokens), and the memory for the KV cache."""
    lines = []
    if context:
        lines.append(f"Context: {used:,} of {context:,} tokens used")
    if token_bytes and free is not None:
        lines.append(
            f"Memory: {size_text(max(0, free))} free, "
            f"{size_text(token_bytes)} of KV cache for each token"
        )
    return "\n".join(lines)


def timing_text(timing: Timing, disturbed_by: Sequence[str] = ()) -> str:
    """Return how the lanes of a run shared the device, and what else they shared it with."""
    text = _CONCURRENT if timing == "together" else "one lane after the other"
    return f"{text}, but {disturbance_text(disturbed_by)}" if disturbed_by else text


def disturbance_text(disturbed_by: Sequence[str]) -> str:
    """Return what disturbed an answer, as a part of a sentence."""
    return f"disturbed while {' and '.join(disturbed_by)}"


def caveat_text(answer: Answer) -> str:
    """Return what must be known before an answer's times are read, "" for nothing."""
    if answer.stamp.timing == "together":
        return "not comparable"
    return "disturbed" if answer.stamp.disturbed_by else ""


def stamp_line(answer: Answer) -> str:
    """Return the stamp in one line: how the answer ended and what produced it.

    A narrow lane cuts its end off: the words that matter come first.
    """
    stamp = answer.stamp
    # A folder without commits has a fingerprint instead, "sha256:…" or "sampled:…".
    kind, _, digits = stamp.commit.rpartition(":")
    commit = f"@{digits[:7]}{' (sampled)' if kind == 'sampled' else ''}" if digits else ""
    options = stamp.options
    sampling = "greedy" if options.greedy else f"T={options.temperature:g}, seed {options.seed}"
    ending = _ENDINGS.get(answer.stop_reason, answer.ending)
    if stamp.server is not None:
        precision = stamp.server.precision or "precision not told"
        own = [f"{count_text(answer)} ({ending})", "times of arrival", precision]
        return " · ".join([*own, stamp.model, stamp.server.label, sampling])
    parts = [
        f"{len(answer.token_ids):,} tokens ({ending})",
        stamp.verified.text,
        f"{stamp.model}{commit}",
        stamp.kernel,
        stamp.device,
        sampling,
    ]
    return " · ".join(parts)


def stamp_text(answer: Answer) -> str:
    """Return the whole stamp, one fact per line."""
    stamp = answer.stamp
    if stamp.server is not None:
        return "\n".join(_server_stamp(answer, stamp.server))
    lines = [
        f"Model: {stamp.model}" + (f" at {stamp.commit}" if stamp.commit else ""),
        f"Precision: {stamp.verified.explained} (verified), "
        f"{stamp.requested_precision.label} (requested)",
        f"Weights: {size_text(stamp.verified.weight_bytes)}",
        f"Kernel: {stamp.kernel}",
        f"Decoder: {stamp.decoder_text}",
        *([f"Environment: {stamp.environment}"] if stamp.environment else []),
        *([f"The model's own code of commit {stamp.own_code}"] if stamp.own_code else []),
        f"Device: {stamp.device_name} ({stamp.device}), {stamp.threads} threads",
        "Versions: " + ", ".join(f"{k} {v}" for k, v in stamp.versions.items()),
        _options_line(stamp.options),
        f"Timing: {timing_text(stamp.timing, stamp.disturbed_by)}",
        f"Prompt: {answer.prompt_tokens:,} tokens"
        + (f" ({answer.reused_tokens:,} already in the KV cache)" if answer.reused_tokens else "")
        + f"; answer: {len(answer.token_ids):,} tokens; {answer.ending}",
        f"Peak memory: {size_text(answer.peak_memory_bytes)}",
        f"Created: {stamp.created}",
    ]
    return "\n".join(lines)


def _server_stamp(answer: Answer, server: ServerFacts) -> list[str]:
    """Return the stamp of a server's answer, one fact a line."""
    stamp = answer.stamp
    cached = f" ({answer.reused_tokens:,} in the server's cache)" if answer.reused_tokens else ""
    prompt = f"{answer.prompt_tokens:,} tokens{cached}" if answer.prompt_tokens else "not told"
    return [
        f"Model: {stamp.model}",
        *server_lines(server),
        _options_line(stamp.options),
        f"Timing: {timing_text(stamp.timing, stamp.disturbed_by)}",
        f"Prompt: {prompt}; answer: {count_text(answer)}; {answer.ending}",
        f"Created: {stamp.created}",
    ]


def _options_line(options: GenerationOptions) -> str:
    values = (f"{name}={getattr(options, name)!r}" for name in options.__struct_fields__)
    return f"Options: {', '.join(values)}"
