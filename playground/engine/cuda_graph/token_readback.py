"""Token readback: copies ids from the device to the host while the device continues."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import torch

#: A loop that is one step behind has at most two ids in flight.
_SLOTS = 4


class TokenReadback(Protocol):
    """A queue of token ids from the device to the host."""

    def send(self, token: torch.Tensor) -> None:
        """Queue a copy of the id, an int64 tensor of one element, behind the work queued so far."""
        ...

    def receive(self) -> int:
        """Return the oldest id in flight; wait until the device has computed it."""
        ...

    def clear(self) -> None:
        """Drop the ids in flight."""
        ...


class DirectReadback:
    """For the CPU, where an operation has finished when its call returns."""

    def __init__(self) -> None:
        self._ids: deque[int] = deque()

    def send(self, token: torch.Tensor) -> None:
        self._ids.append(int(token))

    def receive(self) -> int:
        return self._ids.popleft()

    def clear(self) -> None:
        self._ids.clear()


class PinnedReadback:
    """For CUDA: copies each id into a slot of pinned memory, and records an event.

    The copy is queued between the step that computes the id and the next step. The host waits
    for the event only, while the device runs the next step.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._slots = torch.zeros(_SLOTS, dtype=torch.long).pin_memory()
        self._events = [torch.cuda.Event() for _ in range(_SLOTS)]
        self._sent = 0
        self._received = 0

    def send(self, token: torch.Tensor) -> None:
        slot = self._sent % _SLOTS
        self._slots[slot : slot + 1].copy_(token.view(1), non_blocking=True)
        self._events[slot].record(torch.cuda.current_stream(self._device))
        self._sent += 1

    def receive(self) -> int:
        slot = self._received % _SLOTS
        self._events[slot].synchronize()
        self._received += 1
        return int(self._slots[slot])

    def clear(self) -> None:
        self._received = self._sent


def token_readback(device: torch.device) -> TokenReadback:
    """Return the readback for a device."""
    return PinnedReadback(device) if device.type == "cuda" else DirectReadback()
