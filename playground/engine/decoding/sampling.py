"""Samples the next token from logits, with the logits processors of transformers' `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    NoBadWordsLogitsProcessor,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from playground.core.generation import GenerationOptions


class Sampled(NamedTuple):
    """The next token, int64, and the score that it won by, float32; both [1].

    The score is finite unless the logits are not: the maximum of a row with NaN is NaN.
    """

    token: torch.Tensor
    score: torch.Tensor


class Sampler:
    """Samples the tokens after one prompt: the same processors and random draws as `generate`."""

    def __init__(
        self, model: PreTrainedModel, ids: Sequence[int], options: GenerationOptions
    ) -> None:
        self._greedy = options.greedy
        self._processors = _processors(model, len(ids), options)
        self._ids = torch.tensor([ids], dtype=torch.long, device=model.device)

    @property
    def is_argmax(self) -> bool:
        """Whether sampling is a plain argmax: greedy, without processors."""
        return self._greedy and not self._processors

    def sample(self, logits: torch.Tensor) -> Sampled:
        """Return the next token from logits [1, vocabulary]."""
        scores = logits.float()
        if self._processors:
            scores = self._processors(self._ids, scores)  # type: ignore[arg-type]
        if not self._greedy:
            # torch.multinomial's draw, without its check of the probabilities, which would make the
            # host wait for the device.
            probabilities = torch.softmax(scores, -1)
            scores = probabilities / torch.empty_like(probabilities).exponential_(1)
        # `max` takes no longer than `argmax`.
        score, token = scores.max(-1)
        if self._processors:  # nothing else reads the ids
            self._ids = torch.cat((self._ids, token[:, None]), -1)
        return Sampled(token, score)


def _processors(
    model: PreTrainedModel, prompt_tokens: int, options: GenerationOptions
) -> LogitsProcessorList:
    found = LogitsProcessorList()
    if options.repetition_penalty != 1.0:
        found.append(RepetitionPenaltyLogitsProcessor(options.repetition_penalty))
    forbidden = model.generation_config
    if forbidden.bad_words_ids:
        found.append(NoBadWordsLogitsProcessor(forbidden.bad_words_ids))
    if forbidden.suppress_tokens:
        found.append(SuppressTokensLogitsProcessor(forbidden.suppress_tokens, str(model.device)))
    if forbidden.begin_suppress_tokens:
        found.append(
            SuppressTokensAtBeginLogitsProcessor(
                forbidden.begin_suppress_tokens, prompt_tokens, str(model.device)
            )
        )
    if options.greedy:
        return found
    if options.temperature != 1.0:
        found.append(TemperatureLogitsWarper(options.temperature))
    if options.top_k:
        found.append(TopKLogitsWarper(options.top_k))
    if options.top_p < 1.0:
        found.append(TopPLogitsWarper(options.top_p))
    if options.min_p:
        found.append(MinPLogitsWarper(options.min_p))
    return found
