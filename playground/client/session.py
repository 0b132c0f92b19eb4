"""One engine used step by step: start, load, generate, close; each step blocks till it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from playground.client.engine import Engine
from playground.client.engine_process import EngineProcess
from playground.core.errors import EngineError, RemoteCodeError
from playground.core.facts import Answer, EngineFacts, LoadedModel, LoadRequest
from playground.core.generation import GenerationOptions, Prompt, Timing
from playground.core.protocol import (
    Cancel,
    ContinuationsScored,
    Counted,
    CountTokens,
    Estimated,
    Event,
    Failed,
    Finished,
    Generate,
    Load,
    Loaded,
    LookAtServer,
    MeasureQuantizing,
    Progress,
    Quantize,
    Quantized,
    Quantizing,
    Ready,
    Score,
    ScoreContinuations,
    Scored,
    ServerSeen,
    Started,
    Tokens,
)
from playground.core.quantizing.request import Estimate, QuantizedModel, QuantizeRequest
from playground.core.scoring import ContinuationScore, ScoreRequest, TextScore
from playground.core.servers import ServerRequest

_Asking = (
    Generate
    | MeasureQuantizing
    | Quantize
    | Score
    | CountTokens
    | ScoreContinuations
    | LookAtServer
)
ResultT = TypeVar(
    "ResultT", Finished, Estimated, Quantized, Scored, Counted, ContinuationsScored, ServerSeen
)


class Interrupted(Exception):  # noqa: N818  # a request of the user, not an error
    """`Session.interrupt` ended a step before it had a result."""


def _ignore(_: Event) -> None:
    """Observe nothing, where only results count."""


class Session:
    """An engine and what it answered; its `with` block starts and closes the engine.

    `observe` is called with every Progress, Started, Tokens, Finished and Quantizing event
    as it arrives. Every step raises PlaygroundError in the user's words, and Interrupted after
    `interrupt`. Without an `engine` it is a process of this package in this Python.
    """

    def __init__(
        self, observe: Callable[[Event], None] = _ignore, engine: Engine | None = None
    ) -> None:
        self.engine: Engine = engine or EngineProcess()
        self.facts: EngineFacts | None = None
        self.observe = observe
        self._events: Iterator[Event] = iter(())
        self._request_id = 0
        self._can_cancel = False  # a request is under way that the engine knows of
        self._interrupted = False

    def __enter__(self) -> Session:
        self.engine.start()
        self._events = self.engine.events()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the engine; returns when it is gone (5 s at most)."""
        self.engine.close()

    def interrupt(self) -> None:
        """Stop what runs; never blocks, fit for a signal handler and for any thread.

        The first one stops a generation after the current token, and the answer so far is
        returned; it stops quantizing within a layer. Anything else ends the engine.
        """
        if self._can_cancel and not self._interrupted:
            self._interrupted = True
            self.engine.send(Cancel(self._request_id))
        else:
            self._interrupted = True
            self.engine.kill()

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
        self.engine.send(Load(request))
        while True:
            event = self._next()
            if isinstance(event, Loaded):
                return event.model

    def generate(
        self,
        prompt: Prompt,
        options: GenerationOptions,
        timing: Timing = "in turn",
        reuse: int = 0,
    ) -> Answer:
        """Return the answer to one prompt; its tokens reach `observe` as they come.

        `reuse` as in Generate.
        """
        options.check()
        command = Generate(
            request_id=self._next_id(),
            prompt=prompt,
            options=options,
            timing=timing,
            sent_at=time.monotonic(),
            reuse=reuse,
        )
        return self._result(command, Finished).answer

    def estimate(self, request: QuantizeRequest) -> Estimate:
        """Return what a quantized copy would cost, measured on one layer."""
        self.ready()
        estimate = self._result(MeasureQuantizing(self._next_id(), request), Estimated).estimate
        if estimate is None:
            raise Interrupted
        return estimate

    def quantize(self, request: QuantizeRequest) -> QuantizedModel:
        """Write a quantized copy; its progress reaches `observe`.

        An interrupt leaves nothing behind. A second one ends the engine, and what it had
        written is then the caller's to remove (`remove_partial`).
        """
        self.ready()
        model = self._result(Quantize(self._next_id(), request), Quantized).model
        if model is None:
            raise Interrupted
        return model

    def score(self, request: ScoreRequest) -> TextScore:
        """Return a text's score under the loaded model; its progress reaches `observe`."""
        request.check()
        score = self._result(Score(self._next_id(), request), Scored).score
        if score is None:
            raise Interrupted
        return score

    def count(self, prompts: Sequence[Prompt]) -> tuple[int, ...]:
        """Return the tokens of each prompt, as the loaded model reads them."""
        counts = self._result(CountTokens(self._next_id(), tuple(prompts)), Counted).counts
        if len(counts) < len(prompts):
            raise Interrupted
        return counts

    def score_continuations(
        self, context: str, continuations: Sequence[str]
    ) -> tuple[ContinuationScore, ...]:
        """Return how likely each text is after the context, under the loaded model."""
        command = ScoreContinuations(self._next_id(), context, tuple(continuations))
        scores = self._result(command, ContinuationsScored).scores
        if len(scores) < len(continuations):
            raise Interrupted
        return scores

    def look_at_server(self, server: ServerRequest) -> ServerSeen:
        """Return what a server is and has; the engine is one that passes prompts to servers."""
        self.ready()
        return self._result(LookAtServer(self._next_id(), server), ServerSeen)

    def _next_id(self) -> int:
        self._request_id += 1
        return self._request_id

    def _result(self, command: _Asking, kind: type[ResultT]) -> ResultT:
        """Send the command, and wait for the event that ends its request."""
        self.engine.send(command)
        # Not before: an engine ignores the cancel of a request that it does not know.
        self._can_cancel = True
        try:
            while True:
                event = self._next()
                if isinstance(event, kind) and event.request_id == command.request_id:
                    return event
        finally:
            self._can_cancel = False

    def _next(self) -> Event:
        """Return the next event; progress and tokens also reach `observe`. Raises for a failure."""
        event = next(self._events, None)
        if event is None:
            if self._interrupted:
                raise Interrupted
            outcome = self.engine.outcome()
            raise EngineError(outcome.text, outcome.remedy, outcome.detail)
        if isinstance(event, Failed):
            if self._interrupted and not event.alive:
                raise Interrupted
            detail = "\n".join(part for part in (event.detail, self.engine.stderr_tail()) if part)
            error = RemoteCodeError if event.remote_code else EngineError
            raise error(event.message, event.remedy, detail)
        if isinstance(event, Progress | Started | Tokens | Finished | Quantizing):
            self.observe(event)
        return event
