"""Logits that are no numbers end the text, in every decoder and for every way to sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaConfig

from playground.core.generation import GenerationOptions
from playground.engine.cpu_step.choose_step import fused_steps
from playground.engine.decoding.cached_loop import CachedDecoder
from playground.engine.decoding.decoder import NOT_NUMBERS, Decoder
from playground.engine.decoding.generate import GenerateDecoder
from tests.engine.cuda_graph.capturing import captured
from tests.engine.decoders import SIZES, ids_of, make, prompt_of

DECODERS: dict[str, Callable[[Any], Decoder]] = {
    "generate": lambda model: GenerateDecoder(model, frozenset()),
    "forward": lambda model: CachedDecoder(model, frozenset(), 2048),
    "fused step": lambda model: CachedDecoder(
        model, frozenset(), 2048, fused_steps(model, 2048)[-1]
    ),
    "graph": captured,
}
OPTIONS = (
    GenerationOptions(),
    GenerationOptions(repetition_penalty=1.2),
    GenerationOptions(greedy=False, temperature=0.7, top_k=20, top_p=0.9, min_p=0.01, seed=3),
)


@pytest.mark.parametrize("options", OPTIONS, ids=["greedy", "penalty", "sampled"])
@pytest.mark.parametrize("name", list(DECODERS))
def test_the_text_ends_before_the_token(name: str, options: GenerationOptions) -> None:
    # Weights so large that the text does not repeat its last token.
    model = make(LlamaConfig(**SIZES, initializer_range=0.3), torch.float16)
    decoder = DECODERS[name](model)
    prompt = prompt_of(7)
    whole = ids_of(decoder, prompt, 12, options)[0]
    # The token at this place becomes one that overflows.
    place = next(i for i in range(12) if whole[i] not in (*prompt, *whole[:i]))
    row = model.get_input_embeddings().weight[whole[place]]
    kept = row.detach().clone()
    with torch.no_grad():
        row.fill_(torch.inf)
    found, decoded = ids_of(decoder, prompt, 12, options)
    assert (found, decoded.stop_reason) == (whole[: place + 1], NOT_NUMBERS)
    # In the prompt: no token at all.
    found, decoded = ids_of(decoder, [*prompt, whole[place], 5], 12, options)
    assert (found, decoded.stop_reason) == ([], NOT_NUMBERS)
    with torch.no_grad():
        row.copy_(kept)
    # Nothing of it is left in the cache, where a mask would not hide it.
    found, decoded = ids_of(decoder, prompt, 12, options, reuse=True)
    assert (found, decoded.stop_reason) == (whole, "length")
