"""The CUDA-graph loop: decodes with a captured step, the host one step behind the device."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from playground.core.generation import GenerationOptions
from playground.core.model.kv_cache import cache_bucket
from playground.engine.cuda_graph.captures import capture_prefill, still_works
from playground.engine.cuda_graph.graph_step import (
    CHUNK_TOKENS,
    Capture,
    FixedPrefill,
    FixedStep,
    StepRunner,
    uncaptured,
)
from playground.engine.cuda_graph.token_readback import TokenReadback, token_readback
from playground.engine.decoding.cached_loop import ForwardStep
from playground.engine.decoding.decoder import (
    NOT_NUMBERS,
    Decoded,
    OnLogits,
    OnToken,
    Tell,
    silent,
)
from playground.engine.decoding.interruption import (
    InterruptedForwardError,
    ShouldStop,
    decoder_layers,
    interruptible,
)
from playground.engine.decoding.kv_cache import KVCache
from playground.engine.decoding.sampling import Sampled, Sampler
from playground.engine.machine.errors import is_out_of_memory

#: `prepare` captures the buckets of at most this many new tokens. A longer text pauses to capture.
_AHEAD = 4096
#: Prompts of up to three chunks are prefilled by the captured graph, where Python overhead
#: dominates; longer ones by one ordinary forward.
_CHUNKS = 3
_CHECK_PROMPT = 12  # tokens, less than one chunk
_CHECK_STEPS = 3
_TIMED_STEPS = 4
#: Largest relative difference (L2 norm) between a step's logits and the model's. Different kernels
#: round differently, by a few percent in 16 bits; a wrong result differs by about 1.
_CHECK_BOUND = 0.1


@dataclass(frozen=True)
class _Bucket:
    """A KV cache of fixed size, with the step and the prefill captured on it."""

    slots: int
    cache: KVCache
    step: FixedStep
    run: StepRunner
    prefill: FixedPrefill
    run_prefill: StepRunner


class GraphDecoder:
    """Prefills, then runs a captured step on fixed buffers.

    Capturing takes seconds, so each cache bucket is kept with its captured step once it was
    needed. The current bucket holds the keys and values of the text so far.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        eos_ids: frozenset[int],
        context: int,
        capture: Capture,
        tell: Tell = silent,
        readback: TokenReadback | None = None,
    ) -> None:
        """Capture the smallest bucket. `context` in tokens, 0: unknown.

        Raises what capturing raises, and RuntimeError where the captured step's logits differ
        from the model's.
        """
        self._model = model
        self._forward = ForwardStep(model)
        self._eos_ids = eos_ids
        self._context = context
        self._capture = capture
        self._layers = decoder_layers(model)
        self._readback = readback or token_readback(model.device)
        self._buckets: dict[int, _Bucket] = {}
        self._bucket = self._make(self._slots(1), capture, tell)
        self._buckets[self._bucket.slots] = self._bucket

    @property
    def name(self) -> str:
        return self._bucket.run.name

    def prepare(
        self, prompt_tokens: int, new_tokens: int, tell: Tell, should_stop: ShouldStop
    ) -> str:
        """Capture every bucket that a text of this length goes through.

        Return the reason to stop, "" if all are captured.
        """
        interruptible_tell = _interruptible(tell, should_stop)
        slots = self._slots(prompt_tokens + 1)
        last = self._slots(prompt_tokens + min(new_tokens, _AHEAD))
        try:
            self._bucket_for(slots, interruptible_tell)
            while slots < last:
                slots = self._slots(slots + 1)
                self._bucket_for(slots, interruptible_tell)
        except InterruptedForwardError as interrupted:
            return str(interrupted)
        return ""

    @torch.no_grad()
    def time_steps(self) -> list[float]:
        """Run a few steps; return the seconds of each, until its token is on the host.

        Overwrites the first slots: the cache must be empty.
        """
        step, times = self._bucket.step, []
        step.reset()
        for _ in range(min(_TIMED_STEPS, self._bucket.slots)):
            began = time.perf_counter()
            self._bucket.run()
            self._readback.send(Sampled(step.token, step.score))
            self._readback.receive()
            times.append(time.perf_counter() - began)
        return times

    @torch.no_grad()
    def decode(
        self,
        ids: Sequence[int],
        options: GenerationOptions,
        limit: int,
        on_token: OnToken,
        should_stop: ShouldStop,
        reuse: int = 0,
        on_logits: OnLogits | None = None,
    ) -> Decoded:
        eos_ids = frozenset() if options.ignore_eos else self._eos_ids
        # A step reads every slot, so a text begins in the smallest bucket that fits.
        bucket = self._bucket_for(len(ids) + 1)
        torch.manual_seed(options.seed)
        began = time.monotonic()
        reused = self._bucket.cache.keep_prefix(ids, reuse)
        self._move_to(bucket)
        try:
            logits = self._prefill(ids[reused:], should_stop)
        except InterruptedForwardError as interrupted:
            return Decoded(str(interrupted), began, reused)
        sampler = Sampler(self._model, ids, options)
        first = sampler.sample(logits)
        self._bucket.step.place(first.token, len(ids))
        if on_logits is not None:
            on_logits(logits.clone())
        self._readback.send(first)
        left = limit
        try:
            while True:
                # The next step is queued before the host waits for this token. If the text stops
                # at this token, the next one is dropped.
                if left > 1:
                    self._queue_step(sampler, len(ids) + limit - left, on_logits)
                token, score = self._readback.receive()
                if not math.isfinite(score):
                    self._bucket.cache.clear()
                    return Decoded(NOT_NUMBERS, began, reused)
                on_token(token, time.monotonic())
                left -= 1
                reason = "eos" if token in eos_ids else should_stop() or ("" if left else "length")
                if reason:
                    return Decoded(reason, began, reused)
                self._bucket.cache.append([token])
        finally:
            self._readback.clear()

    @torch.no_grad()
    def logits_after(self, ids: Sequence[int], should_stop: ShouldStop) -> Iterator[torch.Tensor]:
        self._move_to(self._bucket_for(len(ids)), 0)
        bucket = self._bucket
        bucket.cache.truncate(0)
        for position, token in enumerate(ids):
            if reason := should_stop():
                raise InterruptedForwardError(reason)
            bucket.step.place(token, position)
            bucket.run()
            yield bucket.step.logits
            for layer in bucket.cache.layers:
                layer.length = position + 1
            bucket.cache.append([token])

    def _queue_step(self, sampler: Sampler, position: int, on_logits: OnLogits | None) -> None:
        """Queue the step from the token at `position`, and the readback of the next token."""
        if position >= self._bucket.slots:
            # The larger bucket's step continues from this one's token.
            token = self._bucket.step.token.clone()
            self._move_to(self._bucket_for(position + 1), position)
            self._bucket.step.place(token, position)
        step = self._bucket.step
        self._bucket.run()
        sampled = Sampled(step.token, step.score)
        if not sampler.is_argmax:
            sampled = sampler.sample(step.logits)
            step.token.copy_(sampled.token[:, None])
        if on_logits is not None:
            on_logits(step.logits.clone())  # the next step overwrites them
        # The graph writes keys and values, but does not update the lengths.
        for layer in self._bucket.cache.layers:
            layer.length = position + 1
        self._readback.send(sampled)

    def _prefill(self, ids: Sequence[int], should_stop: ShouldStop) -> torch.Tensor:
        """Return logits [1, vocabulary] after `ids`, the part of the prompt that is not cached."""
        cache = self._bucket.cache
        cached = len(cache.ids)
        chunks = -(-len(ids) // CHUNK_TOKENS)
        # The last chunk is padded, and its positions must fit too.
        room = min(self._bucket.slots, self._context or self._bucket.slots)
        short = chunks <= _CHUNKS and cached + chunks * CHUNK_TOKENS <= room
        try:
            if short:
                logits = self._captured_prefill(self._bucket, ids, cached, should_stop)
            else:
                with interruptible(self._layers, should_stop):
                    logits = self._forward.read(ids, cache)
        except BaseException:
            # Some layers may have the new tokens already.
            cache.truncate(cached)
            raise
        cache.append(ids)
        return logits

    def _captured_prefill(
        self, bucket: _Bucket, ids: Sequence[int], cached: int, should_stop: ShouldStop
    ) -> torch.Tensor:
        for start in range(0, len(ids), CHUNK_TOKENS):
            if reason := should_stop():
                raise InterruptedForwardError(reason)
            bucket.prefill.place(ids[start : start + CHUNK_TOKENS], cached + start)
            bucket.run_prefill()
        for layer in bucket.cache.layers:
            layer.length = cached + len(ids)
        return bucket.prefill.logits

    # Buckets

    def _slots(self, tokens: int) -> int:
        longest = min(tokens, self._context) if self._context else tokens
        return cache_bucket(longest, self._context)

    def _bucket_for(self, tokens: int, tell: Tell = silent) -> _Bucket:
        slots = self._slots(tokens)
        if slots not in self._buckets:
            try:
                bucket = self._make(slots, self._capture, tell)
            except Exception as error:
                if (
                    isinstance(error, InterruptedForwardError)
                    or is_out_of_memory(error)
                    or not still_works(self._model.device)
                ):
                    raise
                # Only smaller buckets can be captured: this one runs uncaptured, as the stamp says.
                bucket = self._make(slots, uncaptured, tell)
            self._buckets[slots] = bucket
        return self._buckets[slots]

    @torch.no_grad()
    def _make(self, slots: int, capture: Capture, tell: Tell) -> _Bucket:
        tell(f"room for {slots:,} tokens")
        cache = KVCache(self._model, self._context)
        # The first forward allocates each layer's buffers.
        self._forward(0, cache)
        cache.reserve(min(slots, self._context) if self._context else slots)
        cache.truncate(0)
        step, prefill = FixedStep(self._model, cache), FixedPrefill(self._model, cache)
        run = capture(step, tell)
        bucket = _Bucket(step.cache.slots, cache, step, run, prefill, capture_prefill(prefill))
        tell("comparing with the model's own forward")
        self._check(bucket)
        return bucket

    def _check(self, bucket: _Bucket) -> None:
        """Raise RuntimeError where captured logits differ from those of the model's forward."""
        cache, step = bucket.cache, bucket.step
        vocabulary = step.logits.shape[-1]
        room = self._context or bucket.slots
        ids = [(7 * i + 3) % vocabulary for i in range(min(_CHECK_PROMPT, room - 1))]
        logits = self._forward.read(ids, cache)
        _compare(self._captured_prefill(bucket, ids, 0, lambda: ""), logits)
        for position in range(len(ids), min(len(ids) + _CHECK_STEPS, room)):
            token = int(logits.argmax())
            logits = self._forward(token, cache)
            step.place(token, position)
            bucket.run()
            _compare(step.logits, logits)
        cache.truncate(0)

    def _move_to(self, bucket: _Bucket, tokens: int | None = None) -> None:
        """Make `bucket` current, and copy the keys and values of `tokens` tokens (None: of all)."""
        if bucket is self._bucket:
            return
        old, new = self._bucket.cache, bucket.cache
        count = len(old.ids) if tokens is None else tokens
        new.truncate(0)
        for old_layer, new_layer in zip(old.layers, new.layers, strict=True):
            for source, target in zip(old_layer.buffers, new_layer.buffers, strict=True):
                target[:, :, :count] = source[:, :, :count]
            new_layer.length = count
        new.append(old.ids[:count])
        old.truncate(0)
        self._bucket = bucket


def _compare(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Raise RuntimeError where logits differ by more than _CHECK_BOUND."""
    expected = expected.float()
    difference = float((found.float() - expected).norm() / expected.norm())
    if not difference <= _CHECK_BOUND:  # NaN fails too
        raise RuntimeError(f"its logits differ from the model's by {difference:.0%}")


def _interruptible(tell: Tell, should_stop: ShouldStop) -> Tell:
    """Return `tell`, raising InterruptedForwardError once `should_stop` says so."""

    def check_and_tell(what: str) -> None:
        if reason := should_stop():
            raise InterruptedForwardError(reason)
        tell(what)

    return check_and_tell
