"""Stops a forward pass between two layers: a long prompt's prefill takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

#: Called after each token, and before each layer during the prefill. Returns the reason to stop,
#: "" to continue.
ShouldStop = Callable[[], str]


class InterruptedForwardError(Exception):
    """Raised inside a forward pass to stop it; its text is the reason."""


@contextmanager
def interruptible(
    layers: Sequence[torch.nn.Module], should_stop: ShouldStop
) -> Iterator[Callable[[], None]]:
    """Inside the block, raise InterruptedForwardError before a layer once `should_stop` says so.

    Yields a function that removes the hooks early: they would cost time at every decoded token.
    """

    def check(*_: object) -> None:
        if reason := should_stop():
            raise InterruptedForwardError(reason)

    handles = [layer.register_forward_pre_hook(check) for layer in layers]

    def remove() -> None:
        for handle in handles:
            handle.remove()
        handles.clear()

    try:
        yield remove
    finally:
        remove()


def decoder_layers(model: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the decoder layers: the longest ModuleList of the model, [] if it has none."""
    lists = [list(m) for m in model.modules() if isinstance(m, torch.nn.ModuleList)]
    return max(lists, key=len, default=[])
