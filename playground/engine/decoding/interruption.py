"""Leaving a forward pass in its middle: a long prompt takes seconds in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

#: Asked after each token, and between layers while the prompt is read; "" means go on,
#: everything else is the reason to stop.
ShouldStop = Callable[[], str]


class InterruptedForwardError(Exception):
    """Leaves a forward pass; carries the reason."""


@contextmanager
def interruptible(layers: Sequence[Any], should_stop: ShouldStop) -> Iterator[Callable[[], None]]:
    """Ask before each layer whether to stop, until the function yielded is called.

    While decoding, when every hook would cost time in each token, there are none.
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


def decoder_layers(model: Any) -> list[Any]:
    """The repeated blocks: the longest list of modules there is."""
    lists = [list(m) for m in model.modules() if isinstance(m, torch.nn.ModuleList)]
    return max(lists, key=len, default=[])
