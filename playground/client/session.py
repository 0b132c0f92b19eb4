"""One engine used step by step: start, load, generate, close; each step blocks till it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from playground.client.engine_process import EngineProcess
from playground.core.errors import EngineError, RemoteCodeError
from playground.core.facts import Answer, EngineFacts, LoadedModel, LoadRequest
from playground.core.generation import GenerationOptions, Prompt, Timing
from playground.core.protocol import (
    Cancel,
    Estimated,
    Event,
    Failed,
    Finished,
    Generate,
    Load,
    Loaded,
    MeasureQuantizing,
    Progress,
    Quantize,
    Quantized,
    Quantizing,
    Ready,
    Started,
    Tokens,
)
from playground.core.quantize import Estimate, QuantizedModel, QuantizeRequest

AnswerT = TypeVar("AnswerT", Finished, Estimated, Quantized)


class Interrupted(Exception):  # noqa: N818  # not an error: somebody wanted to stop
    """`Session.interrupt` ended the engine in the middle of a step."""


def _ignore(_: Event) -> None:
    """The observer of somebody who only wants results."""


class Session:
    """An engine process and what it answered. Closed by leaving its `with` block.

    `observe` is called with every Progress, Started, Tokens, Finished and Quantizing event
    as it arrives.
    All steps raise PlaygroundError in the user's words, and Interrupted after `interrupt`.
    """

    def __init__(
        self,
        observe: Callable[[Event], None] = _ignore,
        command: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        process: EngineProcess | None = None,
    ) -> None:
        self.process = process or EngineProcess(command, env)
        self.facts: EngineFacts | None = None
        self.loaded: LoadedModel | None = None
        self.observe = observe
        self._events: Iterator[Event] = iter(())
        self._request_id = 0
        self._generating = False
        self._interrupted = False

    def __enter__(self) -> Session:
        self.process.start()
        self._events = self.process.events()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the engine; returns when it is gone (5 s at most)."""
        self.process.close()

    def interrupt(self) -> None:
        """Stop what runs; never blocks, fit for a signal handler and for any thread.

        The first one while generating stops the generation after the current token, and the
        answer so far is returned; anything else ends the engine.
        """
        if self._generating and not self._interrupted:
            self._interrupted = True
            self.process.send(Cancel(self._request_id))
        else:
            self._interrupted = True
            self.process.kill()

    def ready(self) -> EngineFacts:
        """Wait until the engine can load; return what it found on this machine."""
        while self.facts is None:
            event = self._next()
            if isinstance(event, Ready):
                self.facts = event.facts
        return self.facts

    def load(self, request: LoadRequest) -> LoadedModel:
        """Load the model; return what really was loaded."""
        self.ready()
        self.process.send(Load(request))
        while self.loaded is None:
            event = self._next()
            if isinstance(event, Loaded):
                self.loaded = event.model
        return self.loaded

    def generate(
        self, prompt: Prompt, options: GenerationOptions, timing: Timing = "in turn"
    ) -> Answer:
        """Return the answer to one prompt; its tokens reach `observe` as they come."""
        options.check()
        self._request_id += 1
        self.process.send(
            Generate(
                request_id=self._request_id,
                prompt=prompt,
                options=options,
                timing=timing,
                sent_at=time.monotonic(),
            )
        )
        return self._answer(Finished).answer

    def estimate(self, request: QuantizeRequest) -> Estimate:
        """Return what a quantized copy would cost, measured on one layer."""
        self.ready()
        self._request_id += 1
        self.process.send(MeasureQuantizing(self._request_id, request))
        estimate = self._answer(Estimated).estimate
        if estimate is None:
            raise Interrupted
        return estimate

    def quantize(self, request: QuantizeRequest) -> QuantizedModel:
        """Write a quantized copy; its progress reaches `observe`.

        An interrupt leaves nothing behind; after a second one, which ends the engine, that is
        the caller's part (`remove_partial`).
        """
        self.ready()
        self._request_id += 1
        self.process.send(Quantize(self._request_id, request))
        model = self._answer(Quantized).model
        if model is None:
            raise Interrupted
        return model

    def _answer(self, kind: type[AnswerT]) -> AnswerT:
        """Wait for what ends the request under way."""
        # Not before: an engine ignores the cancel of a request that it does not know.
        self._generating = True
        try:
            while True:
                event = self._next()
                if isinstance(event, kind) and event.request_id == self._request_id:
                    return event
        finally:
            self._generating = False

    def _next(self) -> Event:
        """The next event that is no failure; progress and tokens also go to the observer."""
        event = next(self._events, None)
        if event is None:
            if self._interrupted:
                raise Interrupted
            outcome = self.process.outcome()
            raise EngineError(outcome.text, outcome.remedy, outcome.detail)
        if isinstance(event, Failed):
            if self._interrupted and not event.alive:
                raise Interrupted
            detail = "\n".join(p for p in (event.detail, self.process.stderr_tail()) if p)
            if event.remote_code:
                raise RemoteCodeError(event.message, event.remedy, detail)
            raise EngineError(event.message, event.remedy, detail)
        if isinstance(event, Progress | Started | Tokens | Finished | Quantizing):
            self.observe(event)
        return event
