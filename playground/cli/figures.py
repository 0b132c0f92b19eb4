"""An answer's figures as table rows and as JSON fields; `core.trace` computes them."""

from __future__ import annotations

from typing import Any

import msgspec

from playground.core.facts import LoadedModel
from playground.core.format import ms_text, percent_text, rate_text, seconds_text, size_text
from playground.core.trace import LatencyFigures

HEAD = (
    "",
    "TTFT",
    "ITL p50",
    "ITL p95",
    "prefill tok/s",
    "decode tok/s",
    "of floor",
    "end to end",
    "peak",
)


def row(name: str, figures: LatencyFigures, peak_bytes: int) -> tuple[str, ...]:
    """Return one table row under HEAD."""
    return (
        name,
        seconds_text(figures.ttft_s),
        ms_text(figures.p50_ms),
        ms_text(figures.p95_ms),
        rate_text(figures.prefill_tok_s),
        rate_text(figures.decode_tok_s),
        percent_text(figures.of_floor, exact=figures.floor_steady),
        seconds_text(figures.end_to_end_s),
        size_text(peak_bytes) if peak_bytes else "–",
    )


def loaded_fields(loaded: LoadedModel) -> dict[str, Any]:
    """Return what was loaded, as JSON fields."""
    fields: dict[str, Any] = msgspec.to_builtins(loaded)
    request = fields.pop("request")
    return {
        "precision": request["precision"],
        "verified_precision": loaded.verified.precision,
        "device": request["device"],
        "model": request["name"],
        **fields,
    }


def what_runs(loaded: LoadedModel) -> str:
    """Return one line on what was really loaded."""
    if loaded.server is not None:
        precision = loaded.server.precision or "a precision that the server does not tell"
        return f"{loaded.request.name} · {precision} · {loaded.kernel} · {loaded.device_name}"
    verified = loaded.verified
    parts = (
        loaded.request.name,
        verified.explained,
        f"{size_text(verified.weight_bytes)} of weights",
        loaded.kernel,
        loaded.device_name,
    )
    return " · ".join(parts)
