"""Reserves stdin and stdout for the protocol, before anything prints."""

from __future__ import annotations

import os


def reserve() -> tuple[int, int]:
    """Return the descriptors of commands and events.

    From here on, what libraries print goes to stderr. Their child processes can neither read
    commands nor keep the client's pipes open, because duplicates are not inherited.
    """
    events = os.dup(1)
    os.dup2(2, 1)
    commands = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return commands, events
