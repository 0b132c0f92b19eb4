"""Scores texts as continuations of a context: the likelihood of each choice of a question."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from playground.core.errors import ModelError, OptionsError
from playground.core.generation import RawPrompt
from playground.core.scoring import ContinuationScore
from playground.engine.decoding.interruption import (
    InterruptedForwardError,
    ShouldStop,
    decoder_layers,
    interruptible,
)
from playground.engine.prompts.encode import check_length
from playground.engine.prompts.process import PromptEncoder
from playground.engine.scoring.text import keep_argument, log_softmax


def score_continuations(
    model: PreTrainedModel,
    prompts: PromptEncoder,
    context_length: int,
    context: str,
    continuations: Sequence[str],
    should_stop: ShouldStop,
) -> tuple[ContinuationScore, ...]:
    """Return each continuation's score.

    Context and continuation are tokenized together, spaces at the context's end with the
    continuation, as lm-evaluation-harness does. Each is read by a forward of its own: quantized
    activations depend on what is read together. Raises InterruptedForwardError where it was
    stopped, OptionsError for an empty continuation or one that does not fit the context.
    """
    start = context.rstrip()
    moved = context[len(start) :]
    before = _ids(prompts, start, should_stop) if start else []
    layers = decoder_layers(model)
    scores = []
    for continuation in continuations:
        text = moved + continuation
        if not text:
            raise OptionsError("A choice is empty.", "Write a text for each choice.")
        ids = _ids(prompts, start + text, should_stop)
        check_length(ids, context_length)
        # Where the last token of the context merges with the first of the choice, it is both's.
        shared = min(len(before), len(ids) - 1)
        count = len(ids) - max(shared, 1)
        if count < 1:
            raise OptionsError(
                "A choice without a context has no likelihood.", "Write a text in front of it."
            )
        with interruptible(layers, should_stop):
            scores.append(_score(model, ids, count, len(text.encode("utf-8", "replace"))))
    return tuple(scores)


@torch.inference_mode()
def _score(
    model: PreTrainedModel, ids: Sequence[int], count: int, text_bytes: int
) -> ContinuationScore:
    """Return the score of the last `count` of `ids`."""
    input_ids = torch.tensor([ids], device=model.device)
    keep = count + 1
    output = model(input_ids=input_ids, use_cache=False, **keep_argument(model, keep))
    lp = log_softmax(output.logits[0, -keep:-1])
    targets = input_ids[0, -count:]
    found = lp.gather(1, targets[:, None])[:, 0].double()
    if not bool(torch.isfinite(found).all()):
        raise ModelError(
            "The model's logits are not numbers.",
            "fp16 overflows in some models: load it in bf16 or fp32.",
        )
    greedy = bool((lp.argmax(1) == targets).all())
    return ContinuationScore(float(found.sum()), count, text_bytes, greedy)


def _ids(prompts: PromptEncoder, text: str, should_stop: ShouldStop) -> list[int]:
    encoded = prompts.encode(RawPrompt(text), should_stop)
    if isinstance(encoded, str):
        raise InterruptedForwardError(encoded)
    return list(encoded.ids)
