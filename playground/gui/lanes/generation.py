"""The latest generation of a lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from playground.core.facts import Answer
from playground.core.floor import Floor
from playground.core.generation import GenerationOptions, Prompt, Timing
from playground.core.lane import LaneConfig
from playground.core.protocol import Generate, Tokens
from playground.core.token_record import TokenDetail, TokenRecord
from playground.core.trace import LatencyFigures, LatencyTrace


@dataclass
class Generation:
    """A generation that runs, or has run: its request, and its tokens so far."""

    request_id: int
    config: LaneConfig
    prompt: Prompt
    options: GenerationOptions
    timing: Timing
    floor: Floor | None = None
    trace: LatencyTrace = field(default_factory=LatencyTrace)
    ids: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # what each token released
    details: list[TokenDetail] = field(default_factory=list)  # of each token, or empty
    prompt_tokens: int = 0
    started: bool = False  # its Started event has arrived; tokens count from then on
    ended: bool = False  # with an answer, or without
    answer: Answer | None = None
    disturbances: dict[str, None] = field(default_factory=dict)  # as Stamp.disturbed_by, in order

    def stamped(self, answer: Answer) -> Answer:
        """Return the answer, its stamp with what disturbed the generation."""
        if not self.disturbances:
            return answer
        stamp = msgspec.structs.replace(answer.stamp, disturbed_by=tuple(self.disturbances))
        return msgspec.structs.replace(answer, stamp=stamp)

    def command(self, sent_at: float) -> Generate:
        """Return the command that asks an engine for it; `sent_at` is in monotonic seconds."""
        return Generate(
            request_id=self.request_id,
            prompt=self.prompt,
            options=self.options,
            timing=self.timing,
            sent_at=sent_at,
        )

    def figures(self) -> LatencyFigures:
        """Return the figures of the tokens so far."""
        read, prefill_s = 0, 0.0
        if self.answer is not None:
            read, prefill_s = self.answer.read_tokens, self.answer.prefill_s
        figures = self.trace.figures(read, prefill_s, self.floor, self.prompt_tokens)
        if self.answer is not None and not self.answer.per_token:
            return figures.of_pieces(self.answer.generated_tokens)
        return figures

    def take(self, batches: Sequence[Tokens]) -> str:
        """Add the batches' tokens and their times, and return their text."""
        for batch in batches:
            self.trace.extend(batch.times)
            self.ids.extend(batch.ids)
            self.texts.extend(batch.texts)
            self.details.extend(batch.details)
        return "".join(piece for batch in batches for piece in batch.texts)

    @property
    def record(self) -> TokenRecord:
        """The tokens so far; each access copies them."""
        times = tuple(self.trace.times.tolist())
        return TokenRecord(tuple(self.ids), tuple(self.texts), times, tuple(self.details))
