"""Details of tokens are those of the model's raw logits, in every decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from playground.core.generation import GenerationOptions
from playground.core.system.resources import resource
from playground.engine.cpu_step.choose_step import fused_steps
from playground.engine.decoding.cached_loop import CachedDecoder
from playground.engine.decoding.decoder import Decoder
from playground.engine.decoding.generate import GenerateDecoder
from playground.engine.serving.detokenize import TokenNames, token_texts
from playground.engine.serving.token_details import details
from tests.engine.cuda_graph.capturing import captured
from tests.engine.decoders import FUSIBLE, make, prompt_of

DECODERS: dict[str, Callable[[Any], Decoder]] = {
    "generate": lambda model: GenerateDecoder(model, frozenset()),
    "forward": lambda model: CachedDecoder(model, frozenset(), 2048),
    "fused step": lambda model: CachedDecoder(
        model, frozenset(), 2048, fused_steps(model, 2048)[-1]
    ),
    "graph": captured,
}
#: Penalty and filters change the scores that are sampled from, not the raw logits.
OPTIONS = (
    GenerationOptions(top=5),
    GenerationOptions(top=5, greedy=False, temperature=2.0, top_k=0, repetition_penalty=1.5),
)


@pytest.fixture(scope="module")
def names() -> TokenNames:
    tokenizer = AutoTokenizer.from_pretrained(resource("models", "classics-6m"))
    return TokenNames(token_texts(tokenizer))


@pytest.mark.parametrize("options", OPTIONS, ids=["greedy", "sampled"])
@pytest.mark.parametrize("name", list(DECODERS))
def test_log_probabilities_are_those_of_the_raw_logits(
    name: str, options: GenerationOptions, names: TokenNames
) -> None:
    model = make(FUSIBLE["llama"](), torch.float32)
    prompt, ids = prompt_of(9), list[int]()
    rows: list[torch.Tensor] = []
    DECODERS[name](model).decode(
        prompt,
        options,
        20,
        lambda token, _: ids.append(token),
        lambda: "",
        on_logits=rows.append,
    )
    found = details(rows[: len(ids)], ids, options.top, names)
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1]
    expected = torch.log_softmax(logits.double(), -1)
    assert len(found) == len(ids) == 20
    for detail, token, row in zip(found, ids, expected, strict=True):
        assert detail.logprob == pytest.approx(float(row[token]), abs=1e-4)
        # Logits this close may change places by rounding.
        low, high = int((row > row[token] + 1e-4).sum()), int((row > row[token] - 1e-4).sum())
        assert low < detail.rank <= high
        best = row.topk(5).values.tolist()
        assert [a.logprob for a in detail.top] == pytest.approx(best, abs=1e-4)
        assert [float(row[a.id]) for a in detail.top] == pytest.approx(best, abs=1e-4)
        assert all(a.text == names[a.id] for a in detail.top)
    if not options.greedy:
        assert any(detail.rank > 5 for detail in found)


def test_a_token_has_the_text_that_it_has_inside_a_text(names: TokenNames) -> None:
    tokenizer = AutoTokenizer.from_pretrained(resource("models", "classics-6m"))
    text = "Alice was beginning to get very tired of sitting"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert "".join(names[i] for i in ids).strip() == text
    assert names[tokenizer.eos_token_id] == tokenizer.eos_token
    assert names[10**6] == ""
