"""Decoding with transformers' own `generate`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

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
from playground.engine.machine import compat


class GenerateDecoder(Unprepared):
    """transformers' own `generate`, one sequence at a time. It ignores `reuse`."""

    name = "transformers generate"

    def __init__(self, model: PreTrainedModel, eos_ids: frozenset[int]) -> None:
        self._model = model
        self._eos_ids = eos_ids
        self._layers = decoder_layers(model)

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
        input_ids = torch.tensor([ids], dtype=torch.long, device=self._model.device)
        try:
            with (
                interruptible(self._layers, should_stop) as end_of_prompt,
                _raw_logits(self._model, on_logits),
            ):
                tap = _TokenTap(limit, eos_ids, on_token, should_stop, end_of_prompt)
                self._model.generate(  # type: ignore[operator]
                    input_ids=input_ids,
                    attention_mask=torch.ones_like(input_ids),
                    generation_config=generation_config(options, limit),
                    logits_processor=_processors(options),
                    stopping_criteria=StoppingCriteriaList([tap]),
                )
        except InterruptedForwardError as interrupted:
            return Decoded(str(interrupted), began)
        except _NotNumbersError:
            return Decoded(NOT_NUMBERS, began)
        return Decoded(tap.reason or "length", began)

    def logits_after(self, ids: Sequence[int], should_stop: ShouldStop) -> Iterator[torch.Tensor]:
        forced = _ForcedTokens(ids[1:], should_stop)
        input_ids = torch.tensor([ids[:1]], dtype=torch.long, device=self._model.device)
        self._model.generate(  # type: ignore[operator]
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            generation_config=generation_config(GenerationOptions(ignore_eos=True), len(ids)),
            logits_processor=LogitsProcessorList([forced]),
        )
        yield from forced.logits


class _ForcedTokens(LogitsProcessor):
    """Records the logits of each step, and lets `generate` go on with a given token."""

    def __init__(self, ids: Sequence[int], should_stop: ShouldStop) -> None:
        self._ids = ids
        self._should_stop = should_stop
        self.logits: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if reason := self._should_stop():
            raise InterruptedForwardError(reason)
        step = len(self.logits)
        self.logits.append(scores.clone())
        forced = torch.full_like(scores, -torch.inf)
        # After the last token whatever comes is dropped.
        forced[:, self._ids[step] if step < len(self._ids) else 0] = 0.0
        return forced


@contextmanager
def _raw_logits(model: PreTrainedModel, on_logits: OnLogits | None) -> Iterator[None]:
    """Inside the block, pass on the logits of each forward.

    A logits processor of `generate` would see them after those that the options ask for.
    """
    if on_logits is None:
        yield
        return

    def pass_on(module: torch.nn.Module, inputs: object, output: Any) -> None:
        on_logits(output.logits[:, -1].clone())  # not a view: it would keep those of a whole prompt

    handle = model.register_forward_hook(pass_on)
    try:
        yield
    finally:
        handle.remove()


class _TokenTap(StoppingCriteria):
    """A stopping criterion that reports each sampled token and decides whether to stop.

    `generate` calls stopping criteria before its streamer: a stop here costs no extra token.
    Reading the id synchronizes with the device.
    """

    def __init__(
        self,
        limit: int,
        eos_ids: frozenset[int],
        on_token: OnToken,
        should_stop: ShouldStop,
        end_of_prompt: Callable[[], None],
    ) -> None:
        self._left = limit
        self._eos_ids = eos_ids
        self._on_token = on_token
        self._should_stop = should_stop
        self._end_of_prompt = end_of_prompt
        self._first = True
        self.reason = ""

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any
    ) -> torch.Tensor:
        token_id = int(input_ids[0, -1])
        now = time.monotonic()
        if self._first:
            self._first = False
            self._end_of_prompt()
        self._on_token(token_id, now)
        self._left -= 1
        if token_id in self._eos_ids:
            self.reason = "eos"
        else:
            self.reason = self._should_stop() or ("" if self._left else "length")
        done = bool(self.reason)
        return torch.full((input_ids.shape[0],), done, device=input_ids.device, dtype=torch.bool)


def generation_config(options: GenerationOptions, limit: int) -> GenerationConfig:
    """Return these options alone; `take_rules` removes the model's own."""
    values: dict[str, Any] = {"max_new_tokens": limit, "do_sample": not options.greedy}
    if not options.greedy:
        values |= compat.sampling(options)[0]
    if options.repetition_penalty != 1.0:
        values["repetition_penalty"] = options.repetition_penalty
    return GenerationConfig(**values)


class _NotNumbersError(Exception):
    """Raised inside `generate` where the logits are NaN or infinite."""


class _NumbersOnly(LogitsProcessor):
    """Raises _NotNumbersError before `generate` samples, which fails on such logits.

    Reading the maximum synchronizes with the device, as `generate` does at each token.
    """

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not math.isfinite(float(scores.amax())):
            raise _NotNumbersError
        return scores


def _processors(options: GenerationOptions) -> LogitsProcessorList:
    """Return the logits processors that the configuration of `generate` cannot hold."""
    sampling = [] if options.greedy else compat.sampling(options)[1]
    return LogitsProcessorList([_NumbersOnly(), *sampling])
