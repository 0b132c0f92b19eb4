"""Templates and tokenizers without end are stopped; the encoder serves the next prompt."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tokenizers import Regex, normalizers
from transformers import PreTrainedTokenizerBase

from playground.core.errors import ModelError, OptionsError
from playground.core.generation import ChatPrompt, Message, Prompt, RawPrompt
from playground.engine.prompts import process
from playground.engine.prompts.encode import EncodedPrompt, EncodedText, Text, encode_prompt
from playground.engine.prompts.process import PromptEncoder
from tests.engine.serving.tokenizers_of_all_kinds import KINDS, byte_level

HELLO = RawPrompt("Hello 😀")
SAY = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
ENDLESS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}"
)


def chat(text: str = "Hello", role: str = "user") -> ChatPrompt:
    return ChatPrompt((Message(role, text),))  # type: ignore[arg-type]


def with_template(template: str) -> PreTrainedTokenizerBase:
    tokenizer = byte_level()
    tokenizer.chat_template = template
    return tokenizer


def with_normalizer(steps: list[normalizers.Normalizer]) -> PreTrainedTokenizerBase:
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(steps)
    return tokenizer


def never() -> str:
    return ""


def encode(encoder: PromptEncoder, prompt: Prompt) -> EncodedPrompt:
    found = encoder.encode(prompt, never)
    assert isinstance(found, EncodedPrompt)
    return found


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_child_encodes_as_the_tokenizer_does(kind: str) -> None:
    tokenizer = KINDS[kind]()
    encoder = PromptEncoder(tokenizer)
    for text in ("Hello 😀", "the cat"):
        try:
            expected = encode_prompt(tokenizer, RawPrompt(text))
        except OptionsError as error:
            with pytest.raises(OptionsError, match=error.message):
                encoder.encode(RawPrompt(text), never)
        else:
            assert encode(encoder, RawPrompt(text)) == expected
    with pytest.raises(OptionsError, match="empty"):
        encoder.encode(RawPrompt(""), never)
    with pytest.raises(ModelError, match="no chat template"):
        encoder.encode(chat(), never)


@pytest.mark.parametrize(
    ("make", "prompt"),
    [
        (lambda: with_template(ENDLESS), chat()),
        (
            lambda: with_normalizer([normalizers.Replace(Regex("(a+)+$"), "b")]),
            # Each start of the search backtracks up to the library's limit of retries.
            RawPrompt(" ".join(["a" * 23 + "b"] * 1000)),
        ),
    ],
    ids=["three loops", "regular expression"],
)
def test_what_takes_too_long_is_stopped(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], PreTrainedTokenizerBase], prompt: Prompt
) -> None:
    encoder = PromptEncoder(make())
    monkeypatch.setattr(process, "TIME_LIMIT_S", 1.0)
    with pytest.raises(ModelError, match="did not finish this prompt within 1 seconds") as caught:
        encoder.encode(prompt, never)
    assert caught.value.remedy
    monkeypatch.undo()
    assert encode(encoder, HELLO).ids


@pytest.mark.parametrize(
    ("make", "prompt"),
    [
        (lambda: with_template("{{ (['a' * 1000000] * 100000) | join }}"), chat()),
        (lambda: with_template("{{ ('a\n' * 1000000) | indent(100000) }}"), chat()),
        (lambda: with_normalizer([normalizers.Replace("a", "aa")] * 40), RawPrompt("a" * 50)),
    ],
    ids=["join", "indent", "doubling"],
)
def test_what_takes_too_much_memory_is_stopped(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], PreTrainedTokenizerBase], prompt: Prompt
) -> None:
    monkeypatch.setattr(process, "MEMORY_LIMIT", 2**26)
    encoder = PromptEncoder(make())
    for _ in range(2):  # the next worker has the limit too
        with pytest.raises(ModelError, match="more than 0 GiB of memory"):
            encoder.encode(prompt, never)
    assert encode(encoder, HELLO).ids


def test_a_text_is_encoded_within_the_same_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = with_normalizer([normalizers.Replace(Regex("(a+)+$"), "b")])
    encoder = PromptEncoder(tokenizer)
    for text in (Text("Hello 😀"), Text("Hello", special=True), Text("Hello", most=3)):
        ids = tokenizer(text.text, add_special_tokens=text.special)["input_ids"]
        cut = ids[: text.most or None]
        assert encoder.encode_text(text, never) == EncodedText(cut, tokenizer.decode(cut[:1]))
    with pytest.raises(ModelError, match="tokenizer fails on this text"):
        encoder.encode_text(Text("a" * 40 + "b"), never)
    endless = Text(" ".join(["a" * 23 + "b"] * 1000))
    asked = iter(["", "cancelled"])
    assert encoder.encode_text(endless, lambda: next(asked)) == "cancelled"
    monkeypatch.setattr(process, "TIME_LIMIT_S", 0.0)
    with pytest.raises(ModelError, match="tokenizer did not finish this text within 1 seconds"):
        encoder.encode_text(endless, never)
    monkeypatch.undo()
    monkeypatch.setattr(process, "MEMORY_LIMIT", 2**26)
    encoder = PromptEncoder(with_normalizer([normalizers.Replace("a", "aa")] * 40))
    with pytest.raises(ModelError, match="tokenizer failed on this text: it needs more") as caught:
        encoder.encode_text(Text("a" * 50), never)
    assert "shorter text" in caught.value.remedy


def test_a_panic_of_the_tokenizer_is_a_refusal() -> None:
    encoder = PromptEncoder(with_normalizer([normalizers.Replace(Regex("(a+)+$"), "b")]))
    with pytest.raises(ModelError, match="tokenizer fails on this prompt") as caught:
        encoder.encode(RawPrompt("a" * 40 + "b"), never)
    assert "retry-limit" in caught.value.detail
    assert encode(encoder, HELLO).ids


def test_a_cancel_stops_it_at_once() -> None:
    encoder = PromptEncoder(with_template(ENDLESS))
    asked = iter(["", "cancelled"])
    assert encoder.encode(chat(), lambda: next(asked)) == "cancelled"
    assert encode(encoder, HELLO).ids


def test_the_child_ends_with_its_encoder_and_comes_again_when_killed() -> None:
    others = psutil.Process().children()
    encoder = PromptEncoder(byte_level())
    (parent,) = set(psutil.Process().children()).difference(others)
    (worker,) = parent.children()
    # Of what this process has open, the child has one end of the connection only.
    assert len(list(Path(f"/proc/{worker.pid}/fd").iterdir())) == 4
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    worker.wait()  # Linux kills it with its parent
    with pytest.raises(ModelError, match="memory"):
        encoder.encode(HELLO, never)
    assert encode(encoder, HELLO).ids
    (parent,) = set(psutil.Process().children()).difference(others)
    del encoder
    parent.wait()


PARTS = (
    "{% for m in messages %}[{{ m.role }}]{% for part in m.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "parts"),
    [
        (SAY, False),
        ("{% for m in messages %}{{ m.content | trim | upper }}{% endfor %}", False),
        (PARTS, True),
        ("{% for m in messages %}{{ m['content'][0]['text'] }}{% endfor %}", True),
        (
            "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
            "{{ m.content[0].text }}{% endif %}{% endfor %}",
            False,
        ),
        ("{{ messages[0].content[0].text + '' }}", True),
    ],
)  # fmt: skip
def test_a_template_gets_content_in_the_form_that_keeps_the_words(
    template: str, parts: bool
) -> None:
    tokenizer = with_template(template)
    found = encode(PromptEncoder(tokenizer), chat("  Who's there? 😀 "))
    assert found.parts is parts
    text = tokenizer.decode(found.ids, skip_special_tokens=False)
    assert "who's there? 😀" in text.lower()


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('No system prompts') }}", "refuses this conversation: No system"),
        (
            "{{ raise_exception('two\\nlines' + 'x' * 900) }}",
            "refuses this conversation: two\N{REPLACEMENT CHARACTER}linesx{291}[.] ",
        ),
        ("{% for m in %}", "syntax error in line 1"),
        ("{{ messages[0].content.nothing.nowhere }}", "chat template"),
        ("{{ ''.__class__.__mro__ }}", "chat template"),
        ("{{ 1 // 0 }}", "fails on this conversation"),
    ],
)
def test_a_template_that_fails(template: str, words: str) -> None:
    encoder = PromptEncoder(with_template(template))
    with pytest.raises(ModelError, match=words) as caught:
        encoder.encode(chat(), never)
    assert caught.value.remedy
