"""The latency of a token stream: when tokens were ready, and each figure by its one formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from playground.core.floor import Floor

FloatArray = NDArray[np.float64]

#: Shown in the help beside every table of figures.
FORMULAS = {
    "TTFT": "time from sending the prompt to the first token: t₁ − t_sent",
    "inter-token latency": "gap between neighbouring tokens: tᵢ − tᵢ₋₁, for i ≥ 2",
    "p50, p95, p99": "percentiles of the inter-token latencies, linear interpolation",
    "prefill tokens/s": "prompt tokens ÷ time from the start of the model's work to t₁",
    "decode tokens/s": "(n − 1) ÷ (tₙ − t₁)",
    "end to end": "tₙ − t_sent",
    "floor": "(weights as stored + cached keys and values, in bytes) ÷ bandwidth: the least "
    "time a token can take",
    "bandwidth": "measured once on this device, the median over buffers larger than its caches: "
    "reading them, or copying them (a read and a write); on a CPU by processor time",
    "of floor": "floor of the middle token ÷ p50; above 100 % where a model fits into the "
    "processor's caches; ≈ where other programs disturbed the bandwidth's measurement",
}


class LatencyTrace:
    """The times at which tokens were ready, in seconds since the prompt was sent.

    They lie in an array that doubles when it is full: appending is cheap at any length, and
    the plot reads the values without copying them.
    """

    def __init__(self, times: Sequence[float] = ()) -> None:
        self._times: FloatArray = np.empty(max(1024, len(times)), dtype=np.float64)
        self._gaps_ms: FloatArray = np.empty_like(self._times)
        self._count = 0
        self.extend(times)

    def __len__(self) -> int:
        return self._count

    def extend(self, times: Sequence[float]) -> None:
        """Append the times of further tokens; times never decrease."""
        if not times:
            return
        end = self._count + len(times)
        if end > len(self._times):
            capacity = max(end, 2 * len(self._times))
            for name in ("_times", "_gaps_ms"):
                grown: FloatArray = np.empty(capacity, dtype=np.float64)
                grown[: self._count] = getattr(self, name)[: self._count]
                setattr(self, name, grown)
        fresh = self._times[self._count : end]
        fresh[:] = times
        previous = self._times[self._count - 1] if self._count else 0.0
        self._gaps_ms[self._count : end] = np.diff(fresh, prepend=previous) * 1e3
        self._count = end

    @property
    def times(self) -> FloatArray:
        """Shape (n,), seconds since the prompt was sent; a view."""
        return self._times[: self._count]

    @property
    def inter_token_ms(self) -> FloatArray:
        """Shape (n − 1,), milliseconds; entry i is for token i + 2, counted from 1; a view."""
        return self._gaps_ms[1 : self._count] if self._count else self._gaps_ms[:0]

    @property
    def ttft_s(self) -> float | None:
        return float(self._times[0]) if self._count else None

    def figures(
        self,
        prompt_tokens: int = 0,
        prefill_s: float = 0.0,
        floor: Floor | None = None,
        cached_tokens: int = 0,
    ) -> LatencyFigures:
        """Return every figure of the stream so far, None where one is not defined yet.

        `prompt_tokens` are the tokens prefilled in `prefill_s` seconds. `cached_tokens` are all
        of the prompt, with those that the cache still held from the last turn.
        """
        if not self._count:
            return LatencyFigures()
        first, last = float(self._times[0]), float(self._times[self._count - 1])
        p50 = p95 = p99 = decode = least = None
        if self._count > 1:
            p50, p95, p99 = (
                float(v) for v in np.percentile(self.inter_token_ms, (50.0, 95.0, 99.0))
            )
            if floor is not None:
                least = floor.median_ms(cached_tokens, self._count)
            if last > first:
                decode = (self._count - 1) / (last - first)
        return LatencyFigures(
            tokens=self._count,
            ttft_s=first,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            prefill_tok_s=prompt_tokens / prefill_s if prefill_s > 0 and prompt_tokens else None,
            decode_tok_s=decode,
            end_to_end_s=last,
            floor_ms=least,
            floor_steady=floor is None or floor.steady,
        )


@dataclass(frozen=True)
class LatencyFigures:
    """The figures of one stream; FORMULAS defines each.

    Not `floor_steady`: the bandwidth that the floor rests on is approximate. `unit` is what was
    counted and timed, "tokens" or "chunks" of a server that does not tell its tokens.
    """

    tokens: int = 0
    ttft_s: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    prefill_tok_s: float | None = None
    decode_tok_s: float | None = None
    end_to_end_s: float | None = None
    floor_ms: float | None = None
    floor_steady: bool = True
    unit: str = "tokens"

    def of_pieces(self, tokens: int) -> LatencyFigures:
        """Return the figures of a stream whose times are those of pieces of text.

        `tokens` are in all of them: they give a rate, but no latency of a single token. With 0
        the pieces themselves are the unit.
        """
        if not tokens:
            return replace(self, unit="chunks")
        decode = None
        if self.decode_tok_s and self.tokens > 1:
            decode = self.decode_tok_s * (tokens - 1) / (self.tokens - 1)
        return replace(
            self,
            tokens=tokens,
            p50_ms=None,
            p95_ms=None,
            p99_ms=None,
            decode_tok_s=decode,
            floor_ms=None,
        )

    @property
    def of_floor(self) -> float | None:
        """The fraction of the memory bandwidth that was reached; 1.0 is all of it."""
        if self.floor_ms is None or not self.p50_ms:
            return None
        return self.floor_ms / self.p50_ms
