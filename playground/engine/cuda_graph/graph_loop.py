"""The own decode loop where a step is captured: the host one step behind the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from playground.core.generation import GenerationOptions
from playground.core.model.kv_cache import cache_bucket
from playground.engine.cuda_graph.captures import capture_reading, still_works
from playground.engine.cuda_graph.graph_step import (
    READ_TOKENS,
    Capture,
    FixedRead,
    FixedStep,
    StepRunner,
    uncaptured,
)
from playground.engine.cuda_graph.token_readback import TokenReadback, token_readback
from playground.engine.decoding.decoder import Decoded, OnToken, Tell, silent
from playground.engine.decoding.interruption import (
    InterruptedForwardError,
    ShouldStop,
    decoder_layers,
    interruptible,
)
from playground.engine.decoding.kv_cache import KVCache
from playground.engine.decoding.sampling import Sampler
from playground.engine.machine.errors import is_out_of_memory

#: New tokens that are prepared for before a text begins; a longer one stops for a capture there.
_AHEAD = 4096
#: Up to so many captured reads a prompt is read in them: the model's own way through Python
#: takes longer than the device. Longer ones take it in one go.
_READS = 3
_CHECK_PROMPT = 12  # tokens, less than one read
_CHECK_STEPS = 3
#: Largest relative difference between a step's logits and the model's own. Rounding differs
#: where kernels do, by a few percent in 16 bits; whatever is really wrong differs by about 1.
_CHECK_BOUND = 0.1


@dataclass(frozen=True)
class _Bucket:
    """A cache of fixed size with the step that was captured on it."""

    slots: int
    cache: KVCache
    step: FixedStep
    run: StepRunner
    read: FixedRead
    run_read: StepRunner


class GraphDecoder:
    """Reads the prompt with the model's forward, then runs a captured step on fixed buffers.

    Every cache bucket that was ever needed is kept with its step, since capturing takes
    seconds; the texts' states are in one of them.
    """

    def __init__(
        self,
        model: Any,
        eos_ids: frozenset[int],
        context: int,
        capture: Capture,
        tell: Tell = silent,
        link: TokenReadback | None = None,
    ) -> None:
        """Capture the smallest bucket. Raises what capturing raises, and RuntimeError where
        the captured step's logits are not the model's."""
        self._model = model
        self._eos_ids = eos_ids
        self._context = context
        self._capture = capture
        self._layers = decoder_layers(model)
        self._link = link or token_readback(model.device)
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

        Return the reason to stop, "" where everything is there.
        """
        ask = _asking(tell, should_stop)
        slots, last = (self._slots(prompt_tokens + more) for more in (1, min(new_tokens, _AHEAD)))
        try:
            self._bucket_for(slots, ask)
            while slots < last:
                slots = self._slots(slots + 1)
                self._bucket_for(slots, ask)
        except InterruptedForwardError as interrupted:
            return str(interrupted)
        return ""

    @torch.no_grad()
    def decode(
        self,
        ids: Sequence[int],
        options: GenerationOptions,
        limit: int,
        on_token: OnToken,
        should_stop: ShouldStop,
        reuse: bool = False,
    ) -> Decoded:
        """Continue `ids` by at most `limit` tokens; seeds the sampling from the options.

        With `reuse` the start that `ids` shares with what the cache holds is not read again.
        """
        eos_ids = frozenset() if options.ignore_eos else self._eos_ids
        # Every slot is read at each step, so it begins in the smallest cache.
        bucket = self._bucket_for(len(ids) + 1)
        torch.manual_seed(options.seed)
        began = time.monotonic()
        # The last token is always read: its logits are wanted.
        held = self._bucket.cache
        reused = min(held.common_prefix(ids), len(ids) - 1) if reuse else 0
        held.truncate(reused)
        self._move_to(bucket)
        try:
            logits = self._read(ids[reused:], should_stop)
        except InterruptedForwardError as interrupted:
            return Decoded(str(interrupted), began, reused)
        chooser = Sampler(self._model, ids, options)
        first = chooser.choose(logits)
        self._bucket.step.place(first, len(ids))
        self._link.send(first)
        left = limit
        try:
            while True:
                # The next step is under way before the host waits for the last one's token; of
                # a text that stops there it is the one too many, whose token nobody looks at.
                if left > 1:
                    self._queue_step(chooser, len(ids) + limit - left)
                token = self._link.receive()
                on_token(token, time.monotonic())
                left -= 1
                reason = "eos" if token in eos_ids else should_stop() or ("" if left else "length")
                if reason:
                    return Decoded(reason, began, reused)
                self._bucket.cache.append([token])
        finally:
            self._link.clear()

    def _queue_step(self, chooser: Sampler, position: int) -> None:
        """Make the token after the one at `position`, and send it."""
        if position >= self._bucket.slots:
            # The step on other buffers begins where this one's ended.
            token = self._bucket.step.token.clone()
            self._move_to(self._bucket_for(position + 1), position)
            self._bucket.step.place(token, position)
        step = self._bucket.step
        self._bucket.run()
        if not chooser.takes_likeliest:
            step.token.copy_(chooser.choose(step.logits)[:, None])
        # What the graph itself has done, the layers' own count has to follow.
        for layer in self._bucket.cache.layers:
            layer.length = position + 1
        self._link.send(step.token)

    def _read(self, ids: Sequence[int], should_stop: ShouldStop) -> Any:
        """Return logits [1, vocabulary] after the prompt's rest."""
        cache = self._bucket.cache
        kept = len(cache.ids)
        reads = -(-len(ids) // READ_TOKENS)
        few = reads <= _READS and kept + reads * READ_TOKENS <= self._bucket.slots
        try:
            if few:
                logits = self._read_captured(self._bucket, ids, kept, should_stop)
            else:
                with interruptible(self._layers, should_stop):
                    logits = self._forward(cache, ids)
        except BaseException:
            # Some layers have the new tokens, others do not.
            cache.truncate(kept)
            raise
        cache.append(ids)
        return logits

    def _read_captured(
        self, bucket: _Bucket, ids: Sequence[int], kept: int, should_stop: ShouldStop
    ) -> Any:
        for start in range(0, len(ids), READ_TOKENS):
            if reason := should_stop():
                raise InterruptedForwardError(reason)
            bucket.read.place(ids[start : start + READ_TOKENS], kept + start)
            bucket.run_read()
        for layer in bucket.cache.layers:
            layer.length = kept + len(ids)
        return bucket.read.logits

    def _forward(self, cache: KVCache, ids: Sequence[int]) -> Any:
        """Return logits [1, vocabulary] after `ids`, whose states go into the cache."""
        input_ids = torch.tensor([ids], dtype=torch.long, device=self._model.device)
        output = self._model(
            input_ids=input_ids, use_cache=True, logits_to_keep=1, **cache.argument
        )
        return output.logits[:, -1]

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
                # The stamp says so: the smaller buckets' way did not work on this one.
                bucket = self._make(slots, uncaptured, tell)
            self._buckets[slots] = bucket
        return self._buckets[slots]

    @torch.no_grad()
    def _make(self, slots: int, capture: Capture, tell: Tell) -> _Bucket:
        tell(f"room for {slots:,} tokens")
        cache = KVCache(self._model, self._context)
        # Its first states give every layer its buffers.
        self._forward(cache, [0])
        cache.reserve(min(slots, self._context) if self._context else slots)
        cache.truncate(0)
        step, read = FixedStep(self._model, cache), FixedRead(self._model, cache)
        run = capture(step, tell)
        bucket = _Bucket(step.cache.slots, cache, step, run, read, capture_reading(read))
        tell("comparing with the model's own forward")
        self._check(bucket)
        return bucket

    def _check(self, bucket: _Bucket) -> None:
        """Raise RuntimeError where captured logits are not those of the model's forward."""
        cache, step = bucket.cache, bucket.step
        vocabulary = step.logits.shape[-1]
        room = self._context or bucket.slots
        ids = [(7 * i + 3) % vocabulary for i in range(min(_CHECK_PROMPT, room - 1))]
        logits = self._forward(cache, ids)
        _compare(self._read_captured(bucket, ids, 0, lambda: ""), logits)
        for position in range(len(ids), min(len(ids) + _CHECK_STEPS, room)):
            token = int(logits.argmax())
            logits = self._forward(cache, [token])
            step.place(token, position)
            bucket.run()
            _compare(step.logits, logits)
        cache.truncate(0)

    def _move_to(self, bucket: _Bucket, tokens: int | None = None) -> None:
        """Take what the present cache holds along; `tokens` counts states not noted yet."""
        present = self._bucket
        if bucket is present:
            return
        count = len(present.cache.ids) if tokens is None else tokens
        bucket.cache.truncate(0)
        for mine, theirs in zip(present.cache.layers, bucket.cache.layers, strict=True):
            for source, target in zip(mine.buffers, theirs.buffers, strict=True):
                target[:, :, :count] = source[:, :, :count]
            theirs.length = count
        bucket.cache.append(present.cache.ids[:count])
        present.cache.truncate(0)
        self._bucket = bucket


def _compare(found: Any, own: Any) -> None:
    own = own.float()
    difference = float((found.float() - own).norm() / own.norm())
    if not difference <= _CHECK_BOUND:  # a NaN is no match either
        raise RuntimeError(f"its logits differ from the model's by {difference:.0%}")


def _asking(tell: Tell, should_stop: ShouldStop) -> Callable[[str], None]:
    """Ask whether to stop before anything new is begun."""

    def ask(what: str) -> None:
        if reason := should_stop():
            raise InterruptedForwardError(reason)
        tell(what)

    return ask
