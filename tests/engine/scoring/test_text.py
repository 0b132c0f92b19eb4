"""Scores are those of the model's own logits, in windows, and of every decoder token by token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Regex
from tokenizers.normalizers import Replace
from transformers import AutoModelForCausalLM, AutoTokenizer, MambaConfig

from playground.core.errors import ModelError, OptionsError
from playground.core.scoring import ScoreRequest, windows_of
from playground.core.system.resources import resource
from playground.engine.decoding.decoder import Decoder
from playground.engine.decoding.generate import GenerateDecoder
from playground.engine.decoding.interruption import InterruptedForwardError
from playground.engine.prompts.process import PromptEncoder
from playground.engine.scoring.text import Scores, TextScorer, as_bytes
from tests.engine.decoders import FUSIBLE, decoder_for, make
from tests.engine.serving.tokenizers_of_all_kinds import byte_level

TEXT = "Alice was beginning to get very tired of sitting by her sister on the bank. " * 3
WINDOW, STRIDE = 24, 16


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(resource("models", "classics-6m"))


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    config = FUSIBLE["llama"]()
    config.vocab_size = len(tokenizer)
    return make(config, torch.float32)


def never() -> str:
    return ""


def score(
    model: Any,
    tokenizer: Any,
    decoder: Decoder | None = None,
    stop: Callable[[], str] = never,
    **request: Any,
) -> Scores:
    values: dict[str, Any] = {"text": TEXT, "window": WINDOW, "stride": STRIDE, **request}
    decoder = decoder or GenerateDecoder(model, frozenset())
    scorer = TextScorer(
        model, PromptEncoder(tokenizer), tokenizer.bos_token_id, decoder, 2048, stop
    )
    return scorer.score(ScoreRequest(**values), lambda _: None)


def floats(parts: list[torch.Tensor]) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.frombuffer(as_bytes(parts), np.float32)


def test_likelihoods_are_those_of_the_models_logits(model: Any, tokenizer: Any) -> None:
    scores = score(model, tokenizer)
    ids = [tokenizer.bos_token_id, *tokenizer(TEXT, add_special_tokens=False)["input_ids"]]
    expected: list[float] = []
    mean: list[float] = []
    deviation: list[float] = []
    with torch.no_grad():
        for window in windows_of(len(ids), WINDOW, STRIDE):
            logits = model(torch.tensor([ids[window.begin : window.end]])).logits[0].double()
            for token in range(window.counted, window.end):
                lp = torch.log_softmax(logits[token - 1 - window.begin], -1)
                expected.append(-float(lp[ids[token]]))
                mu = float((lp.exp() * lp).sum())
                mean.append(mu)
                deviation.append(float((lp.exp() * (lp - mu) ** 2).sum()) ** 0.5)
    assert scores.bos
    assert scores.text_bytes == len(TEXT)
    assert torch.cat(scores.ids).tolist() == ids[1:]
    np.testing.assert_allclose(floats(scores.nll), expected, rtol=1e-4)
    np.testing.assert_allclose(floats(scores.mean), mean, rtol=1e-4)
    np.testing.assert_allclose(floats(scores.deviation), deviation, rtol=1e-3)


def test_some_windows_are_that_part_of_the_whole(model: Any, tokenizer: Any) -> None:
    whole = floats(score(model, tokenizer).nll)
    first = score(model, tokenizer, windows=1)
    rest = score(model, tokenizer, first=1)
    assert first.windows == rest.windows > 2
    np.testing.assert_array_equal(np.concatenate([floats(first.nll), floats(rest.nll)]), whole)


def test_a_divergence_is_zero_against_itself_and_right_against_another(
    model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    path = str(tmp_path / "reference.npy")
    assert score(model, tokenizer, path=path, write=True).divergence is None
    same = score(model, tokenizer, path=path).divergence
    assert same is not None
    assert same.values.max() == 0.0
    config = FUSIBLE["llama"]()
    config.vocab_size = len(tokenizer) + 8  # padded to another width
    other = make(config, torch.float32)
    found = score(other, tokenizer, path=path).divergence
    assert found is not None
    reference = np.load(path)[: WINDOW - 1].astype(np.float64)
    ids = [tokenizer.bos_token_id, *tokenizer(TEXT, add_special_tokens=False)["input_ids"]]
    with torch.no_grad():
        logits = other(torch.tensor([ids[:WINDOW]])).logits[0, :-1].double()
    lane = torch.log_softmax(logits, -1)[:, : len(tokenizer)].numpy()
    expected = (np.exp(reference) * (reference - lane)).sum(1)
    np.testing.assert_allclose(found.values[: WINDOW - 1], expected, rtol=1e-3)
    same_top = np.frombuffer(found.same_top, np.uint8)[: WINDOW - 1]
    assert same_top.tolist() == (reference.argmax(1) == lane.argmax(1)).astype(int).tolist()


@pytest.mark.parametrize("choice", ["auto", "generate"])
def test_the_self_check_finds_how_far_decoding_is_from_reading_at_once(
    choice: Any, model: Any, tokenizer: Any
) -> None:
    check = score(model, tokenizer, decoder_for(model, choice), self_check=True).self_check
    assert check is not None
    assert len(check.values) == WINDOW - 1
    assert 0 <= check.values.max() < 1e-6
    assert set(check.same_top) == {1}


def test_the_self_check_sees_a_decoder_that_computes_something_else(
    model: Any, tokenizer: Any
) -> None:
    config = FUSIBLE["llama"]()
    config.vocab_size = len(tokenizer)
    other = decoder_for(make(config, torch.float32))
    with torch.no_grad():
        other._model.lm_head.weight.mul_(3)  # type: ignore[attr-defined]
    check = score(model, tokenizer, other, self_check=True).self_check
    assert check is not None
    assert check.values.mean() > 1e-3


def test_a_model_with_a_state_is_checked_through_generate(tokenizer: Any) -> None:
    config = MambaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, state_size=4
    )
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    check = score(model, tokenizer, decoder_for(model), self_check=True).self_check
    assert check is not None
    assert check.values.max() < 1e-5


def test_scoring_stops_within_a_forward(model: Any, tokenizer: Any) -> None:
    calls = iter(["", "", "cancelled"])
    with pytest.raises(InterruptedForwardError):
        score(model, tokenizer, stop=lambda: next(calls))


def test_what_cannot_be_scored_is_told(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "reference.npy")
    score(model, tokenizer, path=path, write=True, text="A short text.")
    with pytest.raises(OptionsError, match="cannot be compared"):
        score(model, tokenizer, path=path)
    broken = make(FUSIBLE["llama"](), torch.float32)
    broken.resize_token_embeddings(len(tokenizer))
    with torch.no_grad():
        broken.lm_head.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="not numbers"):
        score(broken, tokenizer)


def test_a_tokenizer_that_fails_is_told_in_a_sentence(model: Any) -> None:
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.normalizer = Replace(Regex("(a+)+$"), "b")
    with pytest.raises(ModelError, match="tokenizer fails on this text"):
        score(model, tokenizer, text="a" * 40 + "b")
