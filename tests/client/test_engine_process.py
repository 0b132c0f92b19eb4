"""An engine process and its faults, with scripted engines in real processes."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from playground.client import engine_process
from playground.client.engine_process import STDERR_KEPT, EngineProcess, child_environment
from playground.core.errors import EngineError, ProtocolError
from playground.core.facts import LoadRequest
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import (
    Activity,
    Cancel,
    Event,
    Finished,
    Generate,
    Hello,
    Load,
    Loaded,
    Progress,
    Ready,
    Tokens,
)
from tests.client.processes import engine_left_by_client, is_gone, until
from tests.support.scripted_engine import PHASES, TOKENS_BEFORE_FAULT, scripted_command

REQUEST = LoadRequest(name="scripted", folder="", commit="", precision=Precision.BF16)


def generate(number: int = 1, tokens: int = 50) -> Generate:
    return Generate(
        request_id=number,
        prompt=RawPrompt("The old house"),
        options=GenerationOptions(max_new_tokens=tokens),
        sent_at=time.monotonic(),
    )


@contextmanager
def scripted(*options: str) -> Iterator[EngineProcess]:
    engine = EngineProcess(scripted_command(*options))
    engine.start()
    try:
        yield engine
    finally:
        engine.close()
        assert is_gone(engine.pid)


def play(engine: EngineProcess) -> list[Event]:
    """Load, generate and quit; all events up to the engine's end."""
    engine.send(Load(REQUEST))
    engine.send(generate())
    seen: list[Event] = []
    for event in engine.events():
        seen.append(event)
        if isinstance(event, Finished):
            threading.Thread(target=engine.close).start()
    return seen


def test_a_whole_life() -> None:
    with scripted() as engine:
        assert engine.outcome().running
        seen = play(engine)
        kinds = [type(event) for event in seen]
        assert kinds[0] is Hello
        assert kinds.index(Ready) < kinds.index(Loaded) < kinds.index(Tokens)
        assert kinds[-1] is Finished
        assert engine.close().text == "The engine was ended."
    assert not engine.alive
    assert engine.memory_bytes() == 0


@pytest.mark.parametrize("phase", [p for p in PHASES if p != "unloading"])
@pytest.mark.parametrize("fault", ["sigkill", "exit"])
def test_death_in_every_phase_is_told_with_its_remedy(phase: str, fault: str) -> None:
    with scripted("--fault", fault, "--at", phase) as engine:
        seen = play(engine)
        assert not any(isinstance(event, Finished) for event in seen)
        assert isinstance(seen[-1], Tokens if phase == "generating" else Progress)
        outcome = engine.outcome()
        assert not outcome.expected
        expected = "signal 9 (SIGKILL)" if fault == "sigkill" else "code 3"
        assert expected in outcome.text
        assert outcome.remedy
        if fault == "exit":
            assert "the script says so" in outcome.detail


def test_death_while_unloading_is_an_unloading() -> None:
    with scripted("--fault", "sigkill", "--at", "unloading") as engine:
        until(engine.events(), Ready)
        assert engine.close().expected


@pytest.mark.parametrize("phase", ["importing", "reading_weights", "generating"])
def test_garbage_on_stdout_ends_the_engine(phase: str) -> None:
    with scripted("--fault", "garbage", "--at", phase) as engine:
        with pytest.raises(ProtocolError, match="not a message") as caught:
            play(engine)
        assert caught.value.remedy
        assert "BackendCompiler" in caught.value.detail
        assert not engine.alive
        assert "not a message" in engine.outcome().text
        assert "memory" not in engine.outcome().remedy


def test_a_message_of_another_version() -> None:
    with (
        scripted("--fault", "wrong-version", "--at", "generating") as engine,
        pytest.raises(ProtocolError, match="another version"),
    ):
        play(engine)


def test_an_engine_of_another_version() -> None:
    program = (
        "import os, signal\n"
        "from playground.core.protocol import Hello, encode\n"
        "os.write(1, encode(Hello(pid=1, protocol=99))); signal.pause()\n"
    )
    with EngineProcess([sys.executable, "-c", program]) as engine:
        with pytest.raises(ProtocolError, match="another version") as caught:
            list(engine.events())
        assert "protocol 99" in caught.value.detail
        assert not engine.alive


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("half-frame", "exited with code 3"),
        ("quiet-exit", "without being asked"),
        ("sigsegv", "signal 11 (SIGSEGV)"),
        ("close-stdout", "closed its output"),
    ],
)
def test_other_ends(fault: str, text: str) -> None:
    with scripted("--fault", fault, "--at", "generating") as engine:
        play(engine)
        outcome = engine.outcome()
        assert text in outcome.text
        assert outcome.remedy
        if fault == "sigsegv":
            assert "Fatal Python error: Segmentation fault" in outcome.detail


def test_a_flood_on_stderr_neither_blocks_nor_grows() -> None:
    with scripted("--fault", "stderr-flood", "--at", "reading_weights") as engine:
        assert isinstance(play(engine)[-1], Finished)
        tail = engine.stderr_tail()
        assert len(tail) == STDERR_KEPT
        assert tail.rstrip().endswith("but is repeated")


def test_an_engine_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "QUIT_WAIT_S", 0.1)
    monkeypatch.setattr(engine_process, "TERMINATE_WAIT_S", 0.1)
    with scripted("--fault", "hang", "--at", "generating") as engine:
        events = engine.events()
        engine.send(Load(REQUEST))
        engine.send(generate())
        tokens = 0
        while tokens < TOKENS_BEFORE_FAULT:
            tokens += len(until(events, Tokens).ids)
        engine.send(Cancel(1))
        outcome = engine.close()
        assert outcome.expected
        assert outcome.returncode == -signal.SIGKILL


def test_cancel_stops_between_two_tokens() -> None:
    with scripted("--rate", "200") as engine:
        events = engine.events()
        engine.send(Load(REQUEST))
        engine.send(generate(tokens=100_000))
        until(events, Tokens)
        engine.send(Cancel(1))
        answer = until(events, Finished).answer
        assert answer.stop_reason == "cancelled"
        assert 0 < len(answer.times) < 100_000
        engine.send(generate(number=2, tokens=3))
        assert len(until(events, Finished).answer.times) == 3


def test_kill_ends_the_events_at_once() -> None:
    with scripted("--delay", "importing=100") as engine:
        events = engine.events()
        until(events, Progress, lambda e: e.activity is Activity.IMPORTING)
        engine.kill()
        assert not any(isinstance(event, Ready) for event in events)
        assert engine.outcome().expected


def test_send_never_blocks_on_an_engine_that_does_not_read() -> None:
    engine = EngineProcess([sys.executable, "-c", "import signal; signal.pause()"])
    engine.start()
    command = generate()
    for _ in range(20_000):  # several times what a pipe holds
        engine.send(command)
    engine.kill()
    assert is_gone(engine.pid)
    assert engine.close().expected
    engine.send(command)  # after the end: nothing happens


def test_the_group_goes_with_the_engine() -> None:
    program = (
        "import subprocess, sys, time, os\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "sys.stderr.write(f'{child.pid}\\n'); sys.stderr.flush(); os._exit(0)"
    )
    engine = EngineProcess([sys.executable, "-c", program])
    engine.start()
    assert list(engine.events()) == []
    engine.close()
    assert is_gone(int(engine.stderr_tail()))


@pytest.mark.parametrize("busy", [False, True])
def test_no_engine_survives_its_client(busy: bool) -> None:
    options = "'--rate', '100'" if busy else "'--delay', 'importing=100'"
    program = (
        "import time\n"
        "from playground.client.engine_process import EngineProcess\n"
        "from tests.support.scripted_engine import TOKENS_BEFORE_FAULT, scripted_command\n"
        "from tests.client.test_engine_process import REQUEST, generate\n"
        "from playground.core.protocol import Load\n"
        f"engine = EngineProcess(scripted_command({options})); engine.start()\n"
        "engine.send(Load(REQUEST)); engine.send(generate(tokens=100_000))\n"
        "print(engine.pid, flush=True)\n"
        "for event in engine.events(): print(type(event).__name__, flush=True)\n"
    )
    assert is_gone(engine_left_by_client(program, "Tokens" if busy else "Progress"))


def test_a_program_that_is_not_there() -> None:
    engine = EngineProcess(["/nonexistent/python"])
    with pytest.raises(EngineError, match="could not be started") as caught:
        engine.start()
    assert "/nonexistent/python" in caught.value.remedy
    assert not engine.alive
    assert engine.close().expected


def test_an_engine_is_started_once() -> None:
    with scripted() as engine, pytest.raises(EngineError, match="twice"):
        engine.start()


def test_memory_is_the_childs() -> None:
    with scripted() as engine:
        until(engine.events(), Ready)
        assert 1_000_000 < engine.memory_bytes() < 200_000_000


def test_the_environment_is_offline_and_safe() -> None:
    env = child_environment({"EXTRA": "1"})
    assert env["HF_HUB_OFFLINE"] == "1"
    assert env["PYTHONSAFEPATH"] == "1"
    assert env["EXTRA"] == "1"
