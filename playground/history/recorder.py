"""Keeps one run as it happens, its lanes named by their positions."""

from __future__ import annotations

from collections.abc import Sequence

from playground.core.facts import Answer
from playground.core.floor import Floor
from playground.core.generation import Prompt
from playground.core.protocol import Tokens
from playground.core.token_record import TokenRecord
from playground.history.records import RunRequest, RunState
from playground.history.writer import HistoryWriter


class RunRecorder:
    """A run that is being kept. No method blocks or fails."""

    def __init__(self, writer: HistoryWriter, request: RunRequest) -> None:
        self._writer = writer
        self._run = writer.begin_run(request)
        self._answers: dict[int, str] = {}  # of the lanes that are answering

    def sent(self, position: int, repeat: int, prompt: Prompt) -> None:
        """A lane was sent a prompt; `repeat` is WARM_UP for a warm-up."""
        self._answers[position] = self._writer.begin_answer(self._run, position, repeat, prompt)

    def streamed(self, position: int, batches: Sequence[Tokens]) -> None:
        """Tokens of a lane's answer have come."""
        key = self._answers.get(position)
        if key is None or not batches:
            return
        self._writer.add_tokens(key, TokenRecord.joined(batch.record for batch in batches))

    def answered(self, position: int, answer: Answer, floor: Floor | None) -> None:
        """A lane's answer has ended."""
        if key := self._answers.pop(position, None):
            self._writer.end_answer(key, answer, floor)

    def broke_off(self, position: int, sentence: str = "") -> None:
        """A lane's answer ended without its end; `sentence` says why."""
        if key := self._answers.pop(position, None):
            self._writer.end_answer(key, None)
        if sentence:
            self._writer.fail_lane(self._run, position, sentence)

    def ended(self, state: RunState) -> None:
        """The run is over."""
        self._writer.end_run(self._run, state)
