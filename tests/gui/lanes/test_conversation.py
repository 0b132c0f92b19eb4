"""The prompts that a conversation sends to a model."""

from __future__ import annotations

from playground.core.facts import Answer, Stamp, VerifiedPrecision
from playground.core.generation import ChatPrompt, GenerationOptions, Message, RawPrompt
from playground.core.precision import Precision
from playground.gui.lanes.conversation import Conversation, chat_reason


def answer(text: str) -> Answer:
    verified = VerifiedPrecision(precision=Precision.BF16, modules={}, bytes_by_dtype={})
    stamp = Stamp(
        model="m",
        folder="f",
        commit="c",
        requested_precision=Precision.BF16,
        verified=verified,
        kernel="k",
        decoder="d",
        device="cpu",
        device_name="cpu",
        threads=1,
        versions={},
        options=GenerationOptions(),
        timing="in turn",
        created="now",
    )
    return Answer(
        text=text,
        token_ids=(1,),
        prompt_tokens=1,
        times=(0.1,),
        prefill_s=0.1,
        stop_reason="length",
        peak_memory_bytes=0,
        stamp=stamp,
    )


def test_a_raw_prompt_stands_alone() -> None:
    talk = Conversation().asked("raw", "Once").with_answer(answer(" upon"))
    assert talk.prompt_for("raw", "Twice") == RawPrompt("Twice")


def test_a_chat_prompt_contains_the_answered_turns() -> None:
    talk = Conversation().asked("raw", "Once").with_answer(answer(" upon"))
    talk = talk.asked("chat", "Hello").with_answer(answer("Hi"))
    talk = talk.asked("chat", "lost").with_text("half an ans")
    assert talk.prompt_for("chat", "And?", "Be brief.") == ChatPrompt(
        (
            Message("system", "Be brief."),
            Message("user", "Hello"),
            Message("assistant", "Hi"),
            Message("user", "And?"),
        )
    )


def test_an_empty_system_prompt_is_not_sent() -> None:
    assert Conversation().prompt_for("chat", "Hello", " \n") == ChatPrompt(
        (Message("user", "Hello"),)
    )


def test_an_answer_replaces_the_text_that_streamed() -> None:
    talk = Conversation().asked("raw", "a").with_text("bc").with_answer(answer("b"))
    assert talk.last is not None
    assert talk.last.text == "b"
    assert talk.without_last() == Conversation()
    assert Conversation().without_last() == Conversation()


def test_chat_needs_a_template_in_every_model() -> None:
    assert chat_reason([]) == ""
    assert chat_reason([("a", True), ("b", True)]) == ""
    assert chat_reason([("a", True), ("b", False), ("b", False)]).startswith(
        "b has no chat template"
    )
    assert chat_reason([("a", False), ("b", False)]).startswith("a, b have no")


def test_an_answer_goes_on_from_given_tokens() -> None:
    asked = Conversation().asked("chat", "Hello")
    again = asked.continued((4, 5), "Good ")
    assert again.last is not None
    assert again.last.prompt == ChatPrompt((Message("user", "Hello"),), (4, 5))
    answered = again.with_text("day").with_answer(answer("evening"))
    prompt = answered.prompt_for("chat", "And?")
    assert isinstance(prompt, ChatPrompt)
    assert prompt.messages[1] == Message("assistant", "Good evening")
