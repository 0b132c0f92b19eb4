"""Token readback: ids travel from the device to the host while the device goes on."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import torch

#: More than a loop that is one step behind ever has in flight.
_SLOTS = 4


class TokenReadback(Protocol):
    """A queue of token ids from the device to the host."""

    def send(self, token: torch.Tensor) -> None:
        """Queue the id in an int64 tensor of one element, as it is after all work queued so far."""
        ...

    def receive(self) -> int:
        """Return the oldest id sent; waits until the device has computed it."""
        ...

    def clear(self) -> None:
        """Forget what is in flight."""
        ...


class DirectReadback:
    """For the CPU, where an operation is done when its call returns."""

    def __init__(self) -> None:
        self._ids: deque[int] = deque()

    def send(self, token: torch.Tensor) -> None:
        self._ids.append(int(token))

    def receive(self) -> int:
        return self._ids.popleft()

    def clear(self) -> None:
        self._ids.clear()


class PinnedReadback:
    """CUDA: each id is copied into a slot of pinned memory, behind an event.

    The copy is queued behind the step that computes the id, and the next step behind the copy:
    the host waits for the event alone, while the device goes on.
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
