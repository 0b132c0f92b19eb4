"""Token readback: copies sampled tokens from the device to the host while the device continues."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import torch

from playground.engine.decoding.sampling import Sampled

#: A loop that is one step behind has at most two tokens in flight.
_SLOTS = 4


class TokenReadback(Protocol):
    """A queue of sampled tokens from the device to the host."""

    def send(self, sampled: Sampled) -> None:
        """Queue a copy of a token and its score, of one element each, behind the work so far."""
        ...

    def receive(self) -> tuple[int, float]:
        """Return the oldest token in flight and its score; wait for the device to compute it."""
        ...

    def clear(self) -> None:
        """Drop the tokens in flight."""
        ...


class DirectReadback:
    """For the CPU, where an operation has finished when its call returns."""

    def __init__(self) -> None:
        self._sampled: deque[tuple[int, float]] = deque()

    def send(self, sampled: Sampled) -> None:
        self._sampled.append((int(sampled.token), float(sampled.score)))

    def receive(self) -> tuple[int, float]:
        return self._sampled.popleft()

    def clear(self) -> None:
        self._sampled.clear()


class PinnedReadback:
    """For CUDA: copies each token into a slot of pinned memory, and records an event.

    The copy is queued between the step that computes the token and the next step. The host waits
    for the event only, while the device runs the next step.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._tokens = torch.zeros(_SLOTS, dtype=torch.long).pin_memory()
        self._scores = torch.zeros(_SLOTS, dtype=torch.float32).pin_memory()
        self._events = [torch.cuda.Event() for _ in range(_SLOTS)]
        self._sent = 0
        self._received = 0

    def send(self, sampled: Sampled) -> None:
        slot = self._sent % _SLOTS
        self._tokens[slot : slot + 1].copy_(sampled.token.view(1), non_blocking=True)
        self._scores[slot : slot + 1].copy_(sampled.score.view(1), non_blocking=True)
        self._events[slot].record(torch.cuda.current_stream(self._device))
        self._sent += 1

    def receive(self) -> tuple[int, float]:
        slot = self._received % _SLOTS
        self._events[slot].synchronize()
        self._received += 1
        return int(self._tokens[slot]), float(self._scores[slot])

    def clear(self) -> None:
        self._received = self._sent


def token_readback(device: torch.device) -> TokenReadback:
    """Return the readback for a device."""
    return PinnedReadback(device) if device.type == "cuda" else DirectReadback()
