"""Drives engine processes in tests, one command at a time, and runs scripts beside them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playground.client.engine_process import EngineProcess, child_environment
from playground.core.facts import Answer, EngineFacts, LoadedModel, LoadRequest
from playground.core.generation import GenerationOptions, Prompt, RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import (
    Event,
    Failed,
    Finished,
    Generate,
    Load,
    Loaded,
    Progress,
    Ready,
    Started,
    Tokens,
)
from tests.support.warm_engines import SHARED

PROMPTS = ("Alice was beginning to get very tired of", "The old king said, “")
NEW_TOKENS = 24
#: With more threads every layer waits for the one whose core another program uses.
THREADS = 1


@dataclass
class Run:
    """All events of one generation."""

    events: list[Event] = field(default_factory=list)

    @property
    def answer(self) -> Answer:
        last = self.events[-1]
        assert isinstance(last, Finished), last
        return last.answer

    @property
    def failed(self) -> Failed:
        last = self.events[-1]
        assert isinstance(last, Failed), last
        return last

    @property
    def batches(self) -> list[Tokens]:
        return [e for e in self.events if isinstance(e, Tokens)]

    @property
    def streamed(self) -> str:
        last = self.events[-1]
        tail = last.tail if isinstance(last, Finished) else ""
        return "".join(text for batch in self.batches for text in batch.texts) + tail


class Engine:
    """An engine process, spoken to one command at a time."""

    def __init__(self, env: dict[str, str] | None = None) -> None:
        self.process = EngineProcess(env=env)
        self.process.start()
        self.events = self.process.events()
        self.progress: list[Progress] = []
        self.last_id = 0

    def until(self, *kinds: type) -> Any:
        """Return the next event of the kinds, or a failure."""
        for event in self.events:
            if isinstance(event, Progress):
                self.progress.append(event)
            if isinstance(event, (*kinds, Failed)):
                return event
        raise AssertionError(f"the engine ended: {self.process.outcome().text}")

    def ready(self) -> EngineFacts:
        event = self.until(Ready)
        assert isinstance(event, Ready), event
        return event.facts

    def load(self, folder: Path, precision: Precision, **more: Any) -> LoadedModel | Failed:
        more.setdefault("threads", THREADS)
        request = LoadRequest(
            name="test", folder=str(folder), commit="", precision=precision, **more
        )
        self.process.send(Load(request))
        event = self.until(Loaded)
        return event.model if isinstance(event, Loaded) else event

    def send(self, prompt: Prompt | str, prefix_ids: tuple[int, ...] = (), **options: Any) -> int:
        """Send a prompt; return the request's id."""
        self.last_id += 1
        self.process.send(
            Generate(
                request_id=self.last_id,
                prompt=RawPrompt(prompt, prefix_ids) if isinstance(prompt, str) else prompt,
                options=GenerationOptions(**options),
                sent_at=time.monotonic(),
            )
        )
        return self.last_id

    def collect(self, on_event: Callable[[Event], None] = lambda _: None) -> Run:
        """Return all events to the end of the generation."""
        run = Run()
        for event in self.events:
            run.events.append(event)
            on_event(event)
            if isinstance(event, Finished | Failed):
                return run
        raise AssertionError(f"the engine ended: {self.process.outcome().text}")

    def ask(self, prompt: Prompt | str, prefix_ids: tuple[int, ...] = (), **options: Any) -> Run:
        self.send(prompt, prefix_ids, **options)
        return self.collect()

    def wait_for_tokens(self, count: int) -> None:
        """Read events until `count` tokens came."""
        while count > 0:
            event = self.until(Tokens, Started)
            assert not isinstance(event, Failed), event
            count -= len(event.ids) if isinstance(event, Tokens) else 0


def run_script(script: Path, *arguments: str, python: str = sys.executable) -> Any:
    """Run a script in an engine's environment; return the JSON in its last line."""
    if python == sys.executable:
        done = SHARED.run(script, arguments, child_environment())
    else:
        done = subprocess.run(
            [python, str(script), *arguments],
            env=child_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])
