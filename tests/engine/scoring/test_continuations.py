"""Likelihoods of continuations, token counts, and worked examples that are read once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from playground.client.session import Session
from playground.core.errors import PlaygroundError
from playground.core.facts import LoadRequest
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision

CONTEXT = "Alice was beginning to get very tired of"
CHOICES = (" sitting by her sister", " the river", " x")
PREFIX = "The king said, “No.” " * 6
QUESTIONS = ("Then he went", "Then the queen", "The end of it")
OPTIONS = GenerationOptions(max_new_tokens=12)


@pytest.fixture(scope="module")
def session(model_folder: Path) -> Iterator[Session]:
    with Session() as session:
        session.load(request(model_folder, Precision.FP32))
        yield session


def request(folder: Path, precision: Precision) -> LoadRequest:
    return LoadRequest(name="m", folder=str(folder), commit="", precision=precision, threads=1)


def test_continuations_score_as_the_model_s_own_forward(
    session: Session, model_folder: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    scores = session.score_continuations(CONTEXT, CHOICES)
    before = len(tokenizer(CONTEXT).input_ids)
    for choice, score in zip(CHOICES, scores, strict=True):
        ids = torch.tensor([tokenizer(CONTEXT + choice).input_ids])
        with torch.no_grad():
            lp = torch.log_softmax(model(ids).logits[0, before - 1 : -1].float(), -1)
        expected = lp.gather(1, ids[0, before:, None]).sum()
        assert score.logprob == pytest.approx(float(expected), abs=1e-3)
        assert score.tokens == ids.shape[1] - before
        assert score.text_bytes == len(choice)
    answer = session.generate(RawPrompt(CONTEXT), OPTIONS)
    greedy = [answer.text.startswith(choice) for choice in CHOICES]
    assert [score.greedy for score in scores] == greedy


def test_spaces_at_the_end_of_a_context_belong_to_the_choice(session: Session) -> None:
    apart = session.score_continuations(CONTEXT, (" the river",))[0]
    moved = session.score_continuations(CONTEXT + " ", ("the river",))[0]
    assert moved.logprob == apart.logprob
    assert moved.text_bytes == apart.text_bytes


def test_what_has_no_likelihood_is_a_sentence(session: Session) -> None:
    with pytest.raises(PlaygroundError, match="A choice is empty"):
        session.score_continuations(CONTEXT, ("",))
    with pytest.raises(PlaygroundError, match="The model's context holds"):
        session.score_continuations("word " * 3000, ("x",))


def test_prompts_are_counted_as_they_are_read(session: Session) -> None:
    counts = session.count([RawPrompt(CONTEXT), RawPrompt("a", (1, 2))])
    answer = session.generate(RawPrompt(CONTEXT), OPTIONS)
    assert counts[0] == answer.prompt_tokens
    assert counts[1] == session.count([RawPrompt("a")])[0] + 2


@pytest.mark.parametrize(
    "precision", [Precision.FP32, Precision.BF16, Precision.INT8, Precision.GPTQ]
)
def test_a_prefix_read_once_gives_the_same_tokens(
    precision: Precision, model_folder: Path, gptq_folder: Path
) -> None:
    folder = gptq_folder if precision is Precision.GPTQ else model_folder
    with Session() as session:
        session.load(request(folder, precision))
        plain = [session.generate(RawPrompt(PREFIX + q), OPTIONS) for q in QUESTIONS]
        shared = session.generate(RawPrompt(PREFIX), GenerationOptions(max_new_tokens=1))
        kept = [
            session.generate(RawPrompt(PREFIX + q), OPTIONS, reuse=shared.prompt_tokens)
            for q in QUESTIONS
        ]
    assert all(answer.reused_tokens == 0 for answer in plain)
    assert {answer.reused_tokens for answer in kept} <= {
        shared.prompt_tokens,
        shared.prompt_tokens - 1,  # where the last token goes on in the question
    }
    assert [answer.text for answer in kept] == [answer.text for answer in plain]
