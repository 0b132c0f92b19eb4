"""The cached loop: decodes one token a step, on a KV cache that later prompts reuse."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from transformers import PreTrainedModel

from playground.core.generation import GenerationOptions
from playground.engine.decoding.decoder import (
    NOT_NUMBERS,
    Decoded,
    OnLogits,
    OnToken,
    Unprepared,
)
from playground.engine.decoding.interruption import (
    InterruptedForwardError,
    ShouldStop,
    decoder_layers,
    interruptible,
)
from playground.engine.decoding.kv_cache import KVCache
from playground.engine.decoding.sampling import Sampler


class Step(Protocol):
    """A decode step: computes the logits after one token. `name` goes into the stamp."""

    @property
    def name(self) -> str: ...

    def __call__(self, token: int, cache: KVCache) -> torch.Tensor:
        """Return logits [1, vocabulary] after `token`; add its keys and values to the cache."""
        ...


class ForwardStep:
    """Computes logits with the model's forward."""

    name = "model's forward"

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model

    def __call__(self, token: int, cache: KVCache) -> torch.Tensor:
        return self.read([token], cache)

    def read(self, ids: Sequence[int], cache: KVCache) -> torch.Tensor:
        """Return logits [1, vocabulary] after `ids`; add their keys and values to the cache."""
        input_ids = torch.tensor([ids], dtype=torch.long, device=self._model.device)
        output = self._model(
            input_ids=input_ids, use_cache=True, logits_to_keep=1, **cache.argument
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits


class CachedDecoder(Unprepared):
    """Prefills with the model's forward, and decodes with `step`."""

    def __init__(
        self,
        model: PreTrainedModel,
        eos_ids: frozenset[int],
        context: int,
        step: Step | None = None,
    ) -> None:
        """Decode with the model's forward where `step` is None. `context` in tokens, 0: unknown."""
        self._forward = ForwardStep(model)
        self._step = step or self._forward
        self.name = f"cached loop, {self._step.name}"
        self._model = model
        self._eos_ids = eos_ids
        self._layers = decoder_layers(model)
        self._cache = KVCache(model, context)

    @torch.inference_mode()
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
        torch.manual_seed(options.seed)
        began = time.monotonic()
        reused = self._cache.keep_prefix(ids, reuse)
        try:
            logits = self._prefill(ids[reused:], should_stop)
        except InterruptedForwardError as interrupted:
            return Decoded(str(interrupted), began, reused)
        sampler = Sampler(self._model, ids, options)
        left = limit
        while True:
            sampled = sampler.sample(logits)
            token = int(sampled.token)
            if not math.isfinite(float(sampled.score)):
                self._cache.clear()
                return Decoded(NOT_NUMBERS, began, reused)
            if on_logits is not None:
                on_logits(logits)
            on_token(token, time.monotonic())
            left -= 1
            if token in eos_ids:
                return Decoded("eos", began, reused)
            if reason := should_stop() or ("" if left else "length"):
                return Decoded(reason, began, reused)
            logits = self._step(token, self._cache)
            self._cache.append([token])

    @torch.inference_mode()
    def logits_after(self, ids: Sequence[int], should_stop: ShouldStop) -> Iterator[torch.Tensor]:
        self._cache.truncate(0)
        for number, token in enumerate(ids):
            if reason := should_stop():
                raise InterruptedForwardError(reason)
            # The step needs the buffers that the first forward allocates.
            step = self._step if number else self._forward
            yield step(token, self._cache)
            self._cache.append([token])

    def _prefill(self, ids: Sequence[int], should_stop: ShouldStop) -> torch.Tensor:
        """Return logits [1, vocabulary] after `ids`, the part of the prompt that is not cached."""
        cached = len(self._cache.ids)
        try:
            with interruptible(self._layers, should_stop):
                logits = self._forward.read(ids, self._cache)
        except BaseException:
            # Some layers may have the new tokens already.
            self._cache.truncate(cached)
            raise
        self._cache.append(ids)
        return logits
