"""Generating with one loaded model: options, stops, times, and prompts of every kind."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from playground.core.facts import Answer, LoadedModel
from playground.core.generation import ChatPrompt, Message, RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import Activity, Cancel, Event, Progress, Started, Tokens
from playground.core.token_record import TokenRecord
from tests.engine import reference as plain
from tests.engine.decoders import assert_as_reference
from tests.engine.driver import NEW_TOKENS, PROMPTS, Engine

PROMPT = PROMPTS[0]


def test_sampling_equals_transformers(engine: Engine, reference: dict[str, Any]) -> None:
    """In fp32, where rounding is too small to change a draw."""
    run = engine.ask(
        PROMPT, max_new_tokens=NEW_TOKENS, greedy=False, seed=plain.SEED, **plain.SAMPLING
    )
    assert list(run.answer.token_ids) == reference["sampled"]


def test_repetition_penalty_equals_transformers(engine: Engine, reference: dict[str, Any]) -> None:
    run = engine.ask(PROMPT, max_new_tokens=NEW_TOKENS, **plain.PENALTY)
    assert_as_reference(run.answer, reference["penalized"])


def test_a_seed_repeats_and_another_differs(engine: Engine) -> None:
    first, again, other = (
        engine.ask(PROMPT, max_new_tokens=24, greedy=False, seed=seed, top_k=0).answer.token_ids
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_events_and_times(engine: Engine) -> None:
    before = time.monotonic()
    run = engine.ask(PROMPT, max_new_tokens=50, ignore_eos=True)
    took = time.monotonic() - before
    assert isinstance(run.events[0], Progress)
    assert run.events[0].activity is Activity.READING_PROMPT
    assert isinstance(run.events[1], Started)
    answer = run.answer
    assert answer.stop_reason == "length"
    assert run.events[1].prompt_tokens == answer.prompt_tokens
    assert len(answer.token_ids) == len(answer.times) == 50
    assert list(answer.times) == sorted(answer.times)
    assert 0 < answer.prefill_s <= answer.times[0]
    assert answer.times[-1] <= took
    batches = run.batches
    assert tuple(i for b in batches for i in b.ids) == answer.token_ids
    assert tuple(t for b in batches for t in b.times) == answer.times
    assert run.streamed == answer.text
    assert answer.peak_memory_bytes > 100e6
    stamp = answer.stamp
    assert {"model's forward", "fused step"} <= set(stamp.step_seconds)
    assert stamp.decoder.removeprefix("cached loop, ") in stamp.step_seconds
    assert stamp.decoder_text.startswith(f"{stamp.decoder} (timed at load, a token: model's for")
    assert answer.stamp.versions["torch"]
    assert answer.stamp.created.endswith("+00:00")


def test_cancel_stops_after_the_token(engine: Engine) -> None:
    def cancel(event: Event) -> None:
        if isinstance(event, Tokens):
            engine.process.send(Cancel(request_id))

    request_id = engine.send(PROMPT, max_new_tokens=900, ignore_eos=True)
    run = engine.collect(cancel)
    assert run.answer.stop_reason == "cancelled"
    assert 0 < len(run.answer.token_ids) < 900
    assert run.streamed == run.answer.text


def test_cancel_while_the_prompt_is_read(engine: Engine) -> None:
    request_id = engine.send(PROMPT * 50, max_new_tokens=100)
    engine.process.send(Cancel(request_id))
    assert engine.collect().answer.stop_reason == "cancelled"
    assert engine.ask(PROMPT, max_new_tokens=3).answer.stop_reason == "length"


def test_cancel_of_others_changes_nothing(engine: Engine) -> None:
    finished = engine.last_id
    engine.process.send(Cancel(finished))
    engine.process.send(Cancel(finished + 1))
    engine.process.send(Cancel(-5))
    assert engine.ask(PROMPT, max_new_tokens=3).answer.stop_reason == "length"


def test_a_cancelled_request_in_the_queue(engine: Engine) -> None:
    # So long that the cancel of the second arrives before its turn, on any machine.
    engine.send(PROMPT, max_new_tokens=400, ignore_eos=True)
    second = engine.send(PROMPT, max_new_tokens=20)
    engine.process.send(Cancel(second))
    assert engine.collect().answer.stop_reason == "length"
    run = engine.collect()
    assert run.answer.stop_reason == "cancelled"
    assert run.answer.token_ids == ()
    assert run.answer.prefill_s == 0


def test_stop_string_is_left_out(engine: Engine) -> None:
    whole = engine.ask(PROMPT, max_new_tokens=NEW_TOKENS).answer
    # Across the border of two tokens, so that text must be held back.
    middle = len(whole.text) // 2
    stop = whole.text[middle : middle + 9]
    run = engine.ask(PROMPT, max_new_tokens=NEW_TOKENS, stop=("never, ever", stop))
    assert run.answer.stop_reason == "stop string"
    assert run.answer.text == whole.text[: whole.text.index(stop)]
    assert run.streamed == run.answer.text
    assert len(run.answer.token_ids) < len(whole.token_ids)
    assert whole.token_ids[: len(run.answer.token_ids)] == run.answer.token_ids


def test_generate_stops_at_the_same_places(
    engine: Engine,
    start: Callable[..., Engine],
    model_folder: Path,
    reference: dict[str, Any],
) -> None:
    """Stop strings and the limit: both decoders give the same tokens and reasons."""
    other = start()
    other.ready()
    assert isinstance(other.load(model_folder, Precision.FP32, decoder="generate"), LoadedModel)

    def answers(stop: tuple[str, ...]) -> list[Answer]:
        both = [e.ask(PROMPT, max_new_tokens=NEW_TOKENS, stop=stop).answer for e in (engine, other)]
        cached, generate = (answer.stamp.decoder for answer in both)
        assert cached.startswith("cached loop, ")
        assert generate == "transformers generate"
        assert both[0].stop_reason == both[1].stop_reason
        return both

    whole = answers(())
    assert whole[1].token_ids == tuple(reference["fp32"][0]["ids"])
    assert_as_reference(whole[0], reference["fp32"][0])
    # Behind a near tie the texts may differ.
    pairs = zip(whole[0].text, whole[1].text, strict=False)
    text = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    middle = len(text) // 2
    for stop in ((text[middle : middle + 9],), (text[-3:], text[3:6])):
        first, second = answers(stop)
        assert first.stop_reason == "stop string"
        assert first.text == second.text
        assert first.token_ids == second.token_ids


def test_a_stop_string_that_does_not_come(engine: Engine) -> None:
    whole = engine.ask(PROMPT, max_new_tokens=12).answer
    run = engine.ask(PROMPT, max_new_tokens=12, stop=(whole.text[-5:] + "\x00",))
    assert run.answer.stop_reason == "length"
    assert run.answer.text == run.streamed == whole.text


def test_new_tokens_beyond_the_context(engine: Engine) -> None:
    prompt = "word " * 1000
    run = engine.ask(prompt, max_new_tokens=500, ignore_eos=True)
    assert run.answer.stop_reason == "context full"
    assert run.answer.prompt_tokens + len(run.answer.token_ids) == 1024


@pytest.mark.parametrize("text", ["word " * 3000, "a" * 1_000_000, "é\n" * 500_000])
def test_prompt_longer_than_the_context(engine: Engine, text: str) -> None:
    failed = engine.ask(text).failed
    assert failed.alive
    assert "1,024" in failed.message
    assert "Shorten" in failed.remedy
    assert engine.ask(PROMPT, max_new_tokens=2).answer.text


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "a\x00b",
        "\u202eabc\u2066",
        "<b>bold</b><script>",
        "🧑‍🚀 日本語 ﷽",
        "</s><s>",
        " ",
        "\ufffd",
    ],
)
def test_every_text_is_a_prompt(engine: Engine, text: str) -> None:
    run = engine.ask(text, max_new_tokens=8)
    assert run.answer.token_ids
    assert run.streamed == run.answer.text


@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        (RawPrompt(""), {}, "empty"),
        (RawPrompt("a"), {"temperature": 99.0}, "Temperature"),
        (RawPrompt("a"), {"max_new_tokens": 0}, "New tokens"),
        (RawPrompt("a"), {"stop": ("",)}, "stop string"),
        (ChatPrompt((Message("user", "hello"),)), {}, "chat template"),
    ],
)
def test_refusals(
    engine: Engine, prompt: RawPrompt | ChatPrompt, options: dict[str, Any], words: str
) -> None:
    failed = engine.ask(prompt, **options).failed
    assert words in failed.message
    assert failed.remedy
    assert failed.alive
    assert failed.request_id == engine.last_id


def test_a_second_load_is_refused(engine: Engine) -> None:
    loaded = engine.ask(PROMPT, max_new_tokens=1).answer.stamp
    failed = engine.load(loaded.folder, loaded.requested_precision)  # type: ignore[arg-type]
    assert "another" in str(failed)
    assert engine.ask(PROMPT, max_new_tokens=1).answer.text


def test_every_token_has_its_details_where_they_are_asked_for(engine: Engine) -> None:
    plain_run = engine.ask(PROMPT, max_new_tokens=40, ignore_eos=True)
    run = engine.ask(PROMPT, max_new_tokens=40, ignore_eos=True, top=3)
    assert run.answer.token_ids == plain_run.answer.token_ids
    assert run.streamed == plain_run.streamed
    assert all(not batch.details for batch in plain_run.batches)
    record = TokenRecord.joined(batch.record for batch in run.batches)
    assert record.ids == run.answer.token_ids
    assert len(record.details) == 40
    for token, detail in zip(record.ids, record.details, strict=True):
        assert detail.rank == 1
        assert len(detail.top) == 3
        assert (detail.top[0].id, detail.top[0].logprob) == (token, detail.logprob)


def test_an_answer_goes_on_from_given_tokens(engine: Engine) -> None:
    whole = engine.ask(PROMPT, max_new_tokens=20, ignore_eos=True)
    given = whole.answer.token_ids[:8]
    rest = engine.ask(PROMPT, given, max_new_tokens=12, ignore_eos=True)
    assert rest.answer.token_ids == whole.answer.token_ids[8:]
    assert rest.answer.prompt_tokens == whole.answer.prompt_tokens + 8
    assert whole.streamed.endswith(rest.streamed)
    assert rest.streamed[0] == " " or not whole.streamed.endswith(" " + rest.streamed)
    refused = engine.ask(PROMPT, (10**9,), max_new_tokens=2)
    assert "does not know" in refused.failed.message
