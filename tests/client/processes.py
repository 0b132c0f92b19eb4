"""Helpers for tests that end processes: waits that end when the thing happens."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

from playground.client.engine_process import child_environment
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


def engine_left_by_client(program: str, line: str) -> int:
    """Run a client that prints its engine's id and then its events; kill it at a line.

    Return the engine's id.
    """
    client = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment({"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}),
    )
    assert client.stdout is not None
    with client, client.stdout:
        engine_pid = int(client.stdout.readline())
        assert any(printed.strip() == line for printed in client.stdout)
        client.kill()
    return engine_pid


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
