"""The standard streams of a command, which may be closed, full, or read by nobody any more."""

from __future__ import annotations

import contextlib
import errno
import os
import sys

from playground.core.errors import PlaygroundError

_REASONS = {
    errno.EBADF: "it is closed",
    errno.ENOSPC: "no space is left there",
}


class OutputError(PlaygroundError):
    """The result of a command cannot be written."""

    def __init__(self, error: OSError) -> None:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        super().__init__(
            f"The output cannot be written: {reason}.",
            "Send it to a terminal or to a file on a disk with free space.",
            str(error),
        )


def prepare() -> None:
    """Make every stream usable, so that no command needs to look whether it is there.

    A closed stream's descriptor is taken by the null device, opened so that writing a result
    fails: a file that is opened later could get its number, and the output with it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal cannot show must not end an answer.
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a test's stream


def write_result(text: str) -> None:
    """Write to stdout at once. Raises OutputError, or BrokenPipeError where its reader has gone."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error) from error


def write_status(text: str) -> None:
    """Write to stderr at once; a status that cannot be written is dropped."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def discard_output() -> None:
    """Drop what is still to be written to stdout: the interpreter's last flush must not fail."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
