"""A contestant of an evaluation: a model in an engine of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from playground.client.engine import Engine
from playground.client.session import Interrupted, Session
from playground.core.facts import Answer, EngineFacts, LoadedModel, LoadRequest
from playground.core.generation import GenerationOptions, Prompt
from playground.core.scoring import ContinuationScore
from playground.evaluation.run.lane import Paused

#: Makes the request to load a contestant's model from what its engine found on this machine.
RequestOf = Callable[[EngineFacts], LoadRequest]


class SessionLane:
    """An `EvaluationLane` over a session; `interrupt` ends what it does, from any thread."""

    def __init__(self, engine: Engine, request_of: RequestOf) -> None:
        """Start the engine. Raises PlaygroundError."""
        self._session = Session(engine=engine)
        self._request_of = request_of
        self._on_server = False
        self._session.__enter__()

    @property
    def alive(self) -> bool:
        return not self._session.engine.ended

    def load(self) -> LoadedModel:
        with _pausing():
            request = self._request_of(self._session.ready())
            self._on_server = request.server is not None
            return self._session.load(request)

    def generate(self, prompt: Prompt, options: GenerationOptions, reuse: int) -> Answer:
        with _pausing():
            answer = self._session.generate(prompt, options, reuse=reuse)
        if answer.stop_reason == "cancelled":
            raise Paused
        return answer

    def count(self, prompts: Sequence[Prompt]) -> tuple[int, ...]:
        if self._on_server:
            return ()
        with _pausing():
            return self._session.count(prompts)

    def score(self, context: str, continuations: Sequence[str]) -> tuple[ContinuationScore, ...]:
        with _pausing():
            return self._session.score_continuations(context, continuations)

    def interrupt(self) -> None:
        """Give up what the lane does; it raises Paused then."""
        self._session.interrupt()

    def close(self) -> None:
        self._session.close()


class _pausing:  # noqa: N801  # used like a function
    """Turn an interrupt of the session into the pause of the evaluation."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is Interrupted:
            raise Paused from None
