"""An engine's runtime in the test's process: many loads, one import of the libraries."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from playground.core.facts import LoadedModel, LoadRequest
from playground.core.generation import GenerationOptions, RawPrompt
from playground.core.precision import Precision
from playground.core.protocol import Failed, Generate, Load, Loaded, Work, event_decoder
from playground.engine.serving.boundary import carry_out
from playground.engine.serving.runtime import Runtime
from playground.engine.wire.inbox import Inbox
from playground.engine.wire.sender import Sender


class Wire:
    """A real sender, and the events that it has written to a file."""

    def __init__(self, descriptor: int) -> None:
        self.sender = Sender(descriptor)
        self._descriptor = descriptor
        self._read = 0
        self._decoder = event_decoder()

    def events(self) -> list[Any]:
        """Return the events since the last call."""
        data = os.pread(self._descriptor, 1 << 20, self._read)
        self._read += len(data)
        return list(self._decoder.feed(data))


class InProcess:
    """A runtime with one model."""

    def __init__(self, wire: Wire, folder: Path, precision: Precision) -> None:
        """Load a model. Raises AssertionError where that fails."""
        self._wire = wire
        self._inbox = Inbox(0)
        self._runtime = Runtime(wire.sender, self._inbox, 0.0)
        request = LoadRequest(
            name="t", folder=str(folder), commit="", precision=precision, threads=1
        )
        failed = self._carry_out(Load(request))
        assert failed is None, failed
        event = wire.events()[-1]
        assert isinstance(event, Loaded), event
        self.loaded: LoadedModel = event.model

    def ask(self, prompt: str, new_tokens: int) -> Any:
        """Return the event that ends a greedy answer."""
        command = Generate(
            request_id=1,
            prompt=RawPrompt(prompt),
            options=GenerationOptions(max_new_tokens=new_tokens),
            sent_at=time.monotonic(),
        )
        return self._carry_out(command) or self._wire.events()[-1]

    def _carry_out(self, command: Work) -> Failed | None:
        return carry_out(command, self._runtime, self._wire.sender, self._inbox)
