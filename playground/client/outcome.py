"""Describes how an engine ended, with a remedy where it should not have."""

from __future__ import annotations

import signal
from dataclasses import dataclass

_RELOAD = "Load the model again."
_REMEDIES: dict[int, str] = {
    signal.SIGKILL: (
        "Often this is the kernel's out-of-memory killer: choose a smaller model or precision, "
        "or unload another lane, and load again."
    ),
    signal.SIGSEGV: (
        "A compiled library crashed: load again, and if it happens again choose another "
        "precision or update that library; the engine's log names the place."
    ),
    signal.SIGABRT: (
        "A compiled library gave up, often for lack of memory: look at the engine's log, and "
        "load again or choose another precision."
    ),
    signal.SIGILL: (
        "This processor lacks an instruction that a compiled library uses: choose another "
        "precision, or install that library for this processor."
    ),
    signal.SIGBUS: (
        "A file of the model became shorter while it was in use, or shared memory ran out: check "
        "the model's folder and the free disk space, and load again."
    ),
}


@dataclass(frozen=True)
class Outcome:
    """How an engine ended, or that it still runs.

    `returncode` is None while it runs, and minus the signal's number where a signal killed it.
    `expected` says that the client asked for the end. `reason` is a sentence where the client
    ended the engine for a fault that the return code does not show. `detail` is the end of its
    stderr.
    """

    returncode: int | None
    expected: bool
    detail: str = ""
    reason: str = ""

    @property
    def running(self) -> bool:
        return self.returncode is None

    @property
    def text(self) -> str:
        """Return one sentence on what happened."""
        if self.returncode is None:
            return "The engine is running."
        if self.expected:
            return "The engine was ended."
        if self.reason:
            return self.reason
        if self.returncode == 0:
            return "The engine ended without being asked to."
        if self.returncode > 0:
            return f"The engine exited with code {self.returncode}."
        return f"The engine was killed by signal {_signal_name(-self.returncode)}."

    @property
    def remedy(self) -> str:
        """Return what to do about it; "" where nothing is wrong."""
        if self.running or self.expected:
            return ""
        if self.reason:
            return "Load the model again; if it happens again, look at the engine's log."
        if self.returncode is not None and self.returncode < 0:
            return _REMEDIES.get(-self.returncode, _RELOAD)
        if self.returncode == 0:
            return _RELOAD
        return "Look at the engine's log for the reason, and load the model again."


def _signal_name(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)
