"""Runs to keep, with answers as an engine reports them."""

from __future__ import annotations

import zlib

from playground.core.facts import Answer, ModelSpec, Stamp, VerifiedPrecision
from playground.core.generation import GenerationOptions
from playground.core.lane import LaneConfig
from playground.core.precision import Precision
from playground.core.token_record import Alternative, TokenDetail, TokenRecord
from playground.history.records import RunRequest

PRECISIONS = (Precision.BF16, Precision.INT8)


def request(typed: str = "Once upon a time", model: str = "bundled") -> RunRequest:
    lanes = tuple(LaneConfig(ModelSpec(model), precision) for precision in PRECISIONS)
    return RunRequest(typed=typed, lanes=lanes)


def tokens(*texts: str, first: int = 0) -> TokenRecord:
    """Return tokens of these texts; equal texts have equal ids."""
    ids = tuple(zlib.crc32(text.encode()) for text in texts)
    times = tuple(0.5 + number / 8 for number in range(first, first + len(texts)))
    details = tuple(TokenDetail(-0.5, 1, (Alternative(i, "x", -0.5),)) for i in ids)
    return TokenRecord(ids, texts, times, details)


def answer(kept: TokenRecord, precision: Precision | None = Precision.BF16) -> Answer:
    verified = VerifiedPrecision(precision=precision, modules={"x": 1}, bytes_by_dtype={"x": 2})
    return Answer(
        text=kept.text,
        token_ids=kept.ids,
        prompt_tokens=4,
        times=kept.times,
        prefill_s=0.25,
        stop_reason="length",
        peak_memory_bytes=1,
        stamp=Stamp(
            model="m",
            folder="/m",
            commit="c",
            requested_precision=precision or Precision.BF16,
            verified=verified,
            kernel="k",
            decoder="d",
            device="cpu",
            device_name="cpu",
            threads=2,
            versions={"torch": "2"},
            options=GenerationOptions(),
            timing="in turn",
            created="2026-01-01T00:00:00Z",
        ),
    )
