"""Conversations through the model's own chat template."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from playground.core.facts import LoadedModel
from playground.core.generation import ChatPrompt, Message
from playground.core.precision import Precision
from tests.engine.driver import Engine

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' and 'no' in m.content %}"
    "{{ raise_exception('System prompts are not supported') }}{% endif %}"
    "{% if m.content == 'broken' %}{{ m.content.nothing.nowhere }}{% endif %}"
    "[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def test_chat(start: Callable[..., Engine], model_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "chatty"
    shutil.copytree(model_folder, folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": TEMPLATE}))
    engine = start()
    engine.ready()
    loaded = engine.load(folder, Precision.BF16, warm_up=False)
    assert isinstance(loaded, LoadedModel)
    assert loaded.has_chat_template

    turns = (
        Message("system", "Be kind."),
        Message("user", "Hello 👋 <b>"),
        Message("assistant", "Hi"),
        Message("user", "Again"),
    )
    chat = engine.ask(ChatPrompt(turns), max_new_tokens=20).answer
    text = "".join(f"[{m.role}] {m.content}\n" for m in turns) + "[assistant]"
    raw = engine.ask(text, max_new_tokens=20).answer
    # The template writes the BOS token that a tokenizer adds to raw text; it occurs only once.
    assert raw.prompt_tokens == chat.prompt_tokens
    assert chat.token_ids == raw.token_ids

    refused = engine.ask(ChatPrompt((Message("system", "no"), Message("user", "a")))).failed
    assert "System prompts are not supported" in refused.message
    assert refused.remedy
    broken = engine.ask(ChatPrompt((Message("user", "broken"),))).failed
    assert "chat template" in broken.message
    assert "conversation is empty" in engine.ask(ChatPrompt(())).failed.message
    assert (chat.reused_tokens, raw.reused_tokens) == (0, 0)
    # A continued conversation is not read again; raw text always is.
    again = engine.ask(ChatPrompt(turns), max_new_tokens=2).answer
    assert again.text
    assert again.reused_tokens == again.prompt_tokens - 1
    assert again.read_tokens == 1
