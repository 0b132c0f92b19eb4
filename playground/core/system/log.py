"""Where what the user need not read is written: one bounded file, for window and commands alike."""

from __future__ import annotations

import logging
import logging.handlers

from playground.core.system import paths

_BYTES = 1_000_000


def start_log() -> None:
    """Send the process's log to the file; where none can be written, nothing is kept.

    Never to stderr: a failure is told there in one sentence.
    """
    path = paths.log_file()
    handler: logging.Handler = logging.NullHandler()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=_BYTES, backupCount=1, encoding="utf-8"
        )
    except OSError:
        pass
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
