"""A finished answer's figures and its JSON fields; `core.trace` computes the figures."""

from __future__ import annotations

from typing import Any

import msgspec

from playground.core.facts import Answer
from playground.core.floor import Floor
from playground.core.trace import LatencyFigures, LatencyTrace


def figures_of(answer: Answer, floor: Floor | None) -> LatencyFigures:
    """Return the latency figures of one answer, from a model with this floor."""
    trace = LatencyTrace(answer.times)
    figures = trace.figures(answer.read_tokens, answer.prefill_s, floor, answer.prompt_tokens)
    return figures if answer.per_token else figures.of_pieces(answer.generated_tokens)


def count_text(answer: Answer) -> str:
    """Return how long an answer is: "128 tokens", or "40 chunks" of a server that counts none."""
    if answer.generated_tokens or not answer.times:
        return f"{answer.generated_tokens:,} tokens"
    return f"{len(answer.times):,} chunks"


def figures_fields(answer: Answer, floor: Floor | None) -> dict[str, Any]:
    """Return the figures as JSON fields, in seconds, tokens per second and bytes."""
    trace = LatencyTrace(answer.times)
    figures = figures_of(answer, floor)
    return {
        "ttft_s": figures.ttft_s,
        "itl_s": (trace.inter_token_ms / 1e3).tolist(),
        "itl_p50_s": _s(figures.p50_ms),
        "itl_p95_s": _s(figures.p95_ms),
        "itl_p99_s": _s(figures.p99_ms),
        "prefill_tok_s": figures.prefill_tok_s,
        "decode_tok_s": figures.decode_tok_s,
        "floor_s": _s(figures.floor_ms),
        "of_floor": figures.of_floor,
        "floor_steady": figures.floor_steady,
        "end_to_end_s": figures.end_to_end_s,
        "peak_memory_bytes": answer.peak_memory_bytes,
    }


def answer_fields(answer: Answer, floor: Floor | None) -> dict[str, Any]:
    """Return a whole answer as JSON fields: text, tokens, figures and stamp."""
    verified = answer.stamp.verified.precision
    stamp = msgspec.to_builtins(answer.stamp)
    stamp["verified_precision"] = verified
    return {
        "text": answer.text,
        "token_ids": list(answer.token_ids),
        "prompt_tokens": answer.prompt_tokens,
        "reused_tokens": answer.reused_tokens,
        "warm_up_s": answer.warm_up_s,
        "timed_by": answer.stamp.timed_by,
        "counted_by": answer.count.by if answer.count is not None else "engine",
        **figures_fields(answer, floor),
        "stop_reason": answer.stop_reason,
        "verified_precision": verified,
        "stamp": stamp,
    }


def _s(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1e3
