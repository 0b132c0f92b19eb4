"""Stopping in the middle of a forward pass, which takes seconds for a long prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

#: Asked after each token, and between layers during the prefill. Returns the reason to stop,
#: "" to go on.
ShouldStop = Callable[[], str]


class InterruptedForwardError(Exception):
    """Leaves a forward pass; carries the reason."""


@contextmanager
def interruptible(
    layers: Sequence[torch.nn.Module], should_stop: ShouldStop
) -> Iterator[Callable[[], None]]:
    """Ask before each layer whether to stop, until the yielded function is called.

    That function removes the hooks, which would cost time at every decoded token.
    Raises InterruptedForwardError inside.
    """

    def ask(*_: object) -> None:
        if reason := should_stop():
            raise InterruptedForwardError(reason)

    handles = [layer.register_forward_pre_hook(ask) for layer in layers]

    def remove() -> None:
        for handle in handles:
            handle.remove()
        handles.clear()

    try:
        yield remove
    finally:
        remove()


def decoder_layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the repeated blocks: the longest list of modules in the model."""
    lists = [list(m) for m in model.modules() if isinstance(m, torch.nn.ModuleList)]
    return max(lists, key=len, default=[])
