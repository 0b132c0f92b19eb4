"""The blocking session that the command line uses, with scripted engines."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from playground.client.engine_process import EngineProcess
from playground.client.outcome import Outcome
from playground.client.session import Interrupted, Session
from playground.core.errors import EngineError, OptionsError
from playground.core.facts import EngineFacts
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import (
    Command,
    Event,
    Failed,
    Finished,
    Load,
    Progress,
    Ready,
    Started,
    Tokens,
)
from tests.client.processes import is_gone
from tests.client.test_engine_process import REQUEST
from tests.support.scripted_engine import TOKENS_BEFORE_FAULT, scripted_command

PROMPT = RawPrompt("The old house")
OPTIONS = GenerationOptions(max_new_tokens=100)


def scripted(*options: str) -> Session:
    return Session(engine=EngineProcess(scripted_command(*options)))


def test_steps_return_what_the_engine_answered() -> None:
    seen: list[Event] = []
    session = scripted()
    session.observe = seen.append
    with session:
        assert session.ready().devices[0].id == "cpu"
        loaded = session.load(REQUEST)
        answers = [session.generate(PROMPT, OPTIONS) for _ in range(2)]
    assert is_gone(session.engine.pid)
    assert loaded.verified.precision is Precision.BF16
    assert {type(event) for event in seen} == {Progress, Started, Tokens, Finished}
    texts = [text for event in seen if isinstance(event, Tokens) for text in event.texts]
    assert "".join(texts) == answers[0].text + answers[1].text
    assert [len(answer.times) for answer in answers] == [100, 100]


def test_a_token_is_never_early() -> None:
    rate = 2000.0
    with scripted("--rate", str(rate)) as session:
        session.load(REQUEST)
        answer = session.generate(PROMPT, OPTIONS)
    assert all(time >= (number + 1) / rate - 1e-9 for number, time in enumerate(answer.times))
    assert sorted(answer.times) == list(answer.times)


def test_the_text_ends_by_itself() -> None:
    with scripted("--tokens", "7") as session:
        session.load(REQUEST)
        answer = session.generate(PROMPT, OPTIONS)
    assert (len(answer.times), answer.stop_reason) == (7, "eos")


def test_an_interrupted_generation_gives_what_it_has() -> None:
    session = scripted("--rate", "100")

    def interrupt_at_tokens(event: Event) -> None:
        if isinstance(event, Tokens):
            session.interrupt()

    with session:
        session.load(REQUEST)
        session.observe = interrupt_at_tokens
        answer = session.generate(PROMPT, GenerationOptions(max_new_tokens=100_000))
    assert answer.stop_reason == "cancelled"
    assert answer.times


def test_a_second_interrupt_ends_an_engine_that_does_not_stop() -> None:
    session = scripted("--fault", "hang", "--at", "generating")

    def interrupt_at_tokens(event: Event) -> None:
        if isinstance(event, Tokens):
            session.interrupt()
            session.interrupt()

    with session:
        session.load(REQUEST)
        session.observe = interrupt_at_tokens
        with pytest.raises(Interrupted):
            session.generate(PROMPT, OPTIONS)
    assert is_gone(session.engine.pid)


def test_an_interrupt_while_loading_ends_the_engine() -> None:
    session = scripted("--delay", "reading_weights=100")
    with session:
        session.ready()
        threading.Thread(target=session.interrupt).start()
        with pytest.raises(Interrupted):
            session.load(REQUEST)
    assert is_gone(session.engine.pid)


def test_an_engine_that_dies_is_an_error_with_its_remedy() -> None:
    with (
        scripted("--fault", "sigkill", "--at", "reading_weights") as session,
        pytest.raises(EngineError, match="SIGKILL") as caught,
    ):
        session.load(REQUEST)
    assert "out-of-memory" in caught.value.remedy


def test_out_of_memory_while_loading() -> None:
    with (
        scripted("--fault", "out-of-memory", "--at", "reading_weights") as session,
        pytest.raises(EngineError, match="not enough memory") as caught,
    ):
        session.load(REQUEST)
    assert "smaller precision" in caught.value.remedy
    assert "bad_alloc" in caught.value.detail


def test_a_failed_generation_is_told_after_its_tokens() -> None:
    seen: list[Event] = []
    session = scripted("--fault", "out-of-memory", "--at", "generating")
    session.observe = seen.append
    with session:
        session.load(REQUEST)
        with pytest.raises(EngineError, match="not enough memory"):
            session.generate(PROMPT, OPTIONS)
        assert not session.engine.ended
    assert sum(len(e.times) for e in seen if isinstance(e, Tokens)) == TOKENS_BEFORE_FAULT


def test_options_are_checked_before_they_are_sent() -> None:
    with scripted() as session:
        session.load(REQUEST)
        with pytest.raises(OptionsError, match="Temperature"):
            session.generate(PROMPT, GenerationOptions(temperature=-1.0))


def test_another_precision_than_asked_for_is_found() -> None:
    with scripted("--verified", "fp32") as session:
        loaded = session.load(REQUEST)
    assert "really running" in loaded.mismatch


class InMemoryEngine:
    """An engine that is no process, and refuses to load."""

    pid = 0
    ended = False

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def start(self) -> None:
        pass

    def send(self, command: Command) -> None:
        self.commands.append(command)

    def events(self) -> Iterator[Event]:
        yield Ready(EngineFacts(python="", devices=(), versions={}, probes={}))
        assert isinstance(self.commands[0], Load)
        yield Failed("The server has no such model.", "Choose another one.")

    def kill(self) -> None:
        self.ended = True

    def close(self) -> Outcome:
        self.ended = True
        return self.outcome()

    def outcome(self) -> Outcome:
        return Outcome(0, expected=self.ended)

    def stderr_tail(self) -> str:
        return "from the log"

    def memory_bytes(self) -> int:
        return 0


def test_an_engine_need_not_be_a_process() -> None:
    engine = InMemoryEngine()
    with Session(engine=engine) as session:
        assert session.ready().devices == ()
        with pytest.raises(EngineError, match="no such model") as caught:
            session.load(REQUEST)
    assert caught.value.remedy == "Choose another one."
    assert caught.value.detail == "from the log"
    assert engine.ended
