"""Writes the log: one file of bounded size, for the window and for commands alike."""

from __future__ import annotations

import logging
import logging.handlers

from playground.core.errors import PlaygroundError
from playground.core.system import paths

_BYTES = 1_000_000


def start_log() -> None:
    """Send this process's log to the file; where it cannot be written, the log is dropped.

    Nothing goes to stderr, where the user reads one sentence about a failure.
    """
    handler: logging.Handler = logging.NullHandler()
    try:
        path = paths.log_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=_BYTES, backupCount=1, encoding="utf-8"
        )
    except (OSError, PlaygroundError):
        pass
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
