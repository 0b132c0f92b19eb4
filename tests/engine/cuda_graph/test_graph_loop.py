"""The CUDA-graph loop on the CPU: its tokens, buckets, stops and cache are those of `generate`."""

from __future__ import annotations

import pytest
import torch

from playground.core.generation import GenerationOptions
from playground.engine.cuda_graph.graph_step import FixedStep, StepRunner, uncaptured
from playground.engine.decoding.decoder import Tell
from tests.engine.cuda_graph.capturing import captured
from tests.engine.decoders import (
    FUSIBLE,
    assert_as_generate,
    check_a_common_start,
    check_greedy,
    check_sampling,
    decoder_for,
    ids_of,
    make,
    prompt_of,
)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", list(FUSIBLE))
def test_it_chooses_what_generate_chooses(name: str, dtype: torch.dtype) -> None:
    model = make(FUSIBLE[name](), dtype)
    decoder = captured(model)
    assert decoder.name == "CUDA-graph loop, not captured"
    for length in (1, 17):
        check_greedy(decoder, model, prompt_of(length), 40)


def test_a_text_goes_from_bucket_to_bucket() -> None:
    model = make(FUSIBLE["llama"]())
    decoder = captured(model)
    prompt = prompt_of(500)
    told: list[str] = []
    # Once unprepared, so that it grows in the middle of the text, and once prepared.
    check_greedy(decoder, model, prompt, 30)
    assert decoder.prepare(500, 30, told.append, lambda: "") == ""
    assert told == []
    check_greedy(decoder, model, prompt_of(5), 30)
    check_greedy(decoder, model, prompt, 30)
    # A conversation moves to the longer cache, and from the longer one to the shorter.
    first = prompt_of(40)
    answer = ids_of(decoder, first, 10)[0]
    for length in (600, 700, 20):
        longer = [*first, *answer, *prompt_of(length, start=9)]
        found, decoded = ids_of(decoder, longer, 10, reuse=True)
        assert_as_generate(model, longer, found)
        assert decoded.reused >= len(first) + len(answer) - 1


def test_what_a_text_needs_is_captured_before_it_and_told() -> None:
    made: list[int] = []

    def noted(step: FixedStep, tell: Tell) -> StepRunner:
        tell("capturing")
        made.append(step.cache.slots)
        return uncaptured(step, tell)

    decoder = captured(make(FUSIBLE["llama"]()), capture=noted)
    assert made == [512]
    told: list[str] = []
    assert decoder.prepare(10, 100, told.append, lambda: "") == ""
    assert told == []
    assert decoder.prepare(10, 1500, told.append, lambda: "") == ""
    assert made == [512, 1024, 2048]
    each = ["capturing", "comparing with the model's own forward"]
    assert told == ["room for 1,024 tokens", *each, "room for 2,048 tokens", *each]
    ids_of(decoder, prompt_of(1000), 40)
    assert made == [512, 1024, 2048]


def test_preparing_can_be_stopped_and_done_again() -> None:
    decoder = captured(make(FUSIBLE["llama"]()))
    asked = iter(["", "", "cancelled"])
    told: list[str] = []
    assert decoder.prepare(700, 10, told.append, lambda: next(asked, "")) == ""  # only two steps
    asked = iter(["", "cancelled"])
    assert decoder.prepare(1100, 10, told.append, lambda: next(asked)) == "cancelled"
    assert decoder.prepare(1100, 10, told.append, lambda: "") == ""


def test_a_common_start_is_not_read_again() -> None:
    model = make(FUSIBLE["llama"](), torch.float32)
    check_a_common_start(captured(model), model)


def test_sampling_draws_what_generate_draws() -> None:
    model = make(FUSIBLE["qwen2"](), torch.float32)
    check_sampling(captured(model), decoder_for(model, "generate"))


def test_stops_are_those_of_the_uncaptured_loop() -> None:
    model = make(FUSIBLE["llama"](), torch.float32)
    prompt = prompt_of(11)
    whole = ids_of(decoder_for(model), prompt, 12)[0]
    eos = frozenset({whole[4], 299})
    for decoder in (captured(model, eos), decoder_for(model, eos=eos)):
        found, decoded = ids_of(decoder, prompt, 12)
        assert (found, decoded.stop_reason) == (whole[: whole.index(whole[4]) + 1], "eos")
        free = GenerationOptions(ignore_eos=True)
        found, decoded = ids_of(decoder, prompt, 12, free)
        assert (found, decoded.stop_reason) == (whole, "length")
        found, decoded = ids_of(decoder, prompt, 1, free)
        assert (found, decoded.stop_reason) == (whole[:1], "length")
    for decoder in (captured(model), decoder_for(model)):
        said: list[int] = []
        decoded = decoder.decode(
            prompt,
            GenerationOptions(),
            12,
            lambda token, _, said=said: said.append(token),  # type: ignore[misc]
            lambda said=said: "cancelled" if len(said) == 5 else "",  # type: ignore[misc]
        )
        assert (said, decoded.stop_reason) == (whole[:5], "cancelled")


def test_a_short_rest_is_read_where_there_is_room_for_it() -> None:
    model = make(FUSIBLE["qwen3"](), torch.float32)
    decoder = captured(model)
    for length in (16, 32, 48, 49):
        check_greedy(decoder, model, prompt_of(length), 5)
    # The rest is two tokens, and less than a whole chunk fits behind what is cached.
    first = prompt_of(498)
    answer = ids_of(decoder, first, 4)[0]
    longer = [*first, *answer, *prompt_of(2, start=90)]
    found, decoded = ids_of(decoder, longer, 5, reuse=True)
    assert decoded.reused == 498 + 4 - 1
    assert_as_generate(model, longer, found)


def test_an_interrupted_prompt_leaves_a_usable_cache() -> None:
    model = make(FUSIBLE["llama"]())
    decoder, prompt = captured(model), prompt_of(40)
    expected = ids_of(decoder, prompt, 10)[0]
    asked = iter(["", "cancelled"])
    found, decoded = ids_of(decoder, prompt_of(40, start=9), 10, should_stop=lambda: next(asked))
    assert (found, decoded.stop_reason) == ([], "cancelled")
    assert ids_of(decoder, prompt, 10, reuse=True)[0] == expected
