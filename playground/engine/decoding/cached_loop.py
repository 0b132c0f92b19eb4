"""The project's own decode loop: a kept cache, and a lean step where there is one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import torch

from playground.core.generation import GenerationOptions
from playground.engine.decoding.decoder import Decoded, OnToken, Unprepared
from playground.engine.decoding.interruption import (
    InterruptedForwardError,
    ShouldStop,
    decoder_layers,
    interruptible,
)
from playground.engine.decoding.kv_cache import KVCache
from playground.engine.decoding.sampling import Sampler


class Step(Protocol):
    """Computes one token's logits on the KV cache, faster than the model's forward does."""

    name: str

    def __call__(self, token: int, cache: KVCache) -> torch.Tensor:
        """Return logits [1, vocabulary] after `token`, whose states go into the cache."""
        ...


class CachedDecoder(Unprepared):
    """Reads the prompt with the model's forward, then makes token after token."""

    def __init__(
        self, model: Any, eos_ids: frozenset[int], context: int, step: Step | None
    ) -> None:
        self.name = f"own loop, {step.name if step else 'kept cache'}"
        self._model = model
        self._eos_ids = eos_ids
        self._layers = decoder_layers(model)
        self._cache = KVCache(model, context)
        self._step = step

    @torch.inference_mode()
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
        torch.manual_seed(options.seed)
        began = time.monotonic()
        # The last token is always read: its logits are wanted.
        reused = min(self._cache.common_prefix(ids), len(ids) - 1) if reuse else 0
        self._cache.truncate(reused)
        try:
            logits = self._read(ids[reused:], should_stop)
        except InterruptedForwardError as interrupted:
            return Decoded(str(interrupted), began, reused)
        chooser = Sampler(self._model, ids, options)
        left = limit
        while True:
            token = int(chooser.choose(logits))
            on_token(token, time.monotonic())
            left -= 1
            if token in eos_ids:
                return Decoded("eos", began, reused)
            if reason := should_stop() or ("" if left else "length"):
                return Decoded(reason, began, reused)
            logits = self._advance(token)

    def _read(self, ids: Sequence[int], should_stop: ShouldStop) -> Any:
        """Return logits [1, vocabulary] after the prompt's rest."""
        kept = len(self._cache.ids)
        try:
            with interruptible(self._layers, should_stop):
                logits = self._forward(ids)
        except BaseException:
            # Some layers have the new tokens, others do not.
            self._cache.truncate(kept)
            raise
        self._cache.append(ids)
        return logits

    def _advance(self, token: int) -> Any:
        logits = self._step(token, self._cache) if self._step else self._forward([token])
        self._cache.append([token])
        return logits

    def _forward(self, ids: Sequence[int]) -> Any:
        input_ids = torch.tensor([ids], dtype=torch.long, device=self._model.device)
        output = self._model(
            input_ids=input_ids, use_cache=True, logits_to_keep=1, **self._cache.argument
        )
        return output.logits[:, -1]
