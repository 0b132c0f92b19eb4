"""A hundred prompts and options for one engine: each is answered or refused with a sentence."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from playground.core.errors import OptionsError
from playground.core.facts import LoadedModel
from playground.core.generation import (
    RANGES,
    ChatPrompt,
    GenerationOptions,
    Message,
    Prompt,
    RawPrompt,
)
from playground.core.precision import Precision
from playground.core.protocol import Failed, Finished
from playground.core.system.resources import resource
from tests.engine.driver import Engine
from tests.fuzz.conftest import check_sentence

PROMPTS = 100
_PIECES = (
    "Once upon a time",
    "\x00",
    "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "\u202eabc",
    "\r\n\t",
    "a" * 3000,
    " " * 300,
    "נ العربية 漢字",
    "<|endoftext|></s>[INST]",
    "{{ 7 * 7 }}",
    "\ufeff\u2028\u2029",
    "",
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine()
    engine.ready()
    loaded = engine.load(resource("models", "classics-6m"), Precision.FP32)
    assert isinstance(loaded, LoadedModel), loaded
    yield engine
    engine.process.close()


def text(draw: random.Random) -> str:
    return "".join(draw.choice(_PIECES) for _ in range(draw.randint(1, 4)))


def prompt(draw: random.Random) -> Prompt:
    if draw.random() < 0.8:
        return RawPrompt(text(draw))
    roles = draw.choices(["system", "user", "assistant"], k=draw.randint(0, 4))
    return ChatPrompt(tuple(Message(role, text(draw)) for role in roles))  # type: ignore[arg-type]


def options(draw: random.Random) -> GenerationOptions:
    """Return options at the ends of their ranges, in every other case also beyond."""
    values: dict[str, Any] = {"greedy": draw.random() < 0.3}
    beyond = draw.random() < 0.5
    for name in draw.sample(list(RANGES), 3):
        low, high = RANGES[name]
        within = [low, high, (low + high) / 2]
        value = draw.choice([*within, low - 1, high + 1, -1] if beyond else within)
        values[name] = int(value) if isinstance(low, int) else value
    values["max_new_tokens"] = draw.choice([0, -5]) if draw.random() < 0.1 else draw.randint(1, 6)
    values["stop"] = tuple(
        draw.choices(["x", "\n", "😀", "e", *[""] * beyond], k=draw.randint(0, 2))
    )
    return GenerationOptions(**values)


def test_prompts_and_options(engine: Engine, seed: int) -> None:
    draw = random.Random(f"{seed} prompts")
    answered = refused = 0
    for number in range(PROMPTS):
        asked, chosen = prompt(draw), options(draw)
        done = f"seed {seed}, prompt {number}: {asked!r:.200}, {chosen!r}"
        try:
            chosen.check()
        except OptionsError as error:
            check_sentence(str(error), done)
        # An engine is asked all the same: its client may be another version.
        engine.send(asked, **msgspec.structs.asdict(chosen))
        event = engine.collect().events[-1]
        if isinstance(event, Failed):
            refused += 1
            assert event.alive, done
            check_sentence(event.message, done)
            check_sentence(event.remedy, done)
        else:
            answered += 1
            assert isinstance(event, Finished), done
            assert len(event.answer.token_ids) <= chosen.max_new_tokens, done
    assert answered > 10
    assert refused > 10
