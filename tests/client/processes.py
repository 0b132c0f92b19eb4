"""Helpers for tests that end processes: waits that end when the thing happens."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from typing import TypeVar

from playground.core.protocol import Event

EventT = TypeVar("EventT", bound=Event)


def is_gone(pid: int, timeout_s: float = 60.0) -> bool:
    """Wait until a process (of any parent) has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))
    finally:
        os.close(handle)


def until(
    events: Iterator[Event],
    kind: type[EventT],
    fits: Callable[[EventT], bool] = lambda _: True,
) -> EventT:
    """Read events up to the first one of a kind that fits."""
    for event in events:
        if isinstance(event, kind) and fits(event):
            return event
    raise AssertionError(f"the engine ended before {kind.__name__}")
