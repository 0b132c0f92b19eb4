"""The errors that reach the user: each says what went wrong and what to do about it."""

from __future__ import annotations

#: Characters of a message; names in the files of strangers can be longer than a screen.
_LONGEST = 800
_END = 200


class PlaygroundError(Exception):
    """A failure, described for the user.

    `message` says what is wrong and `remedy` what to do, both in whole sentences; the middle of a
    very long message is left out. `detail` (a traceback, a library's own text) is for the log; the
    window shows it on request only.
    """

    def __init__(self, message: str, remedy: str = "", detail: str = "") -> None:
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST - _END]}…{message[-_END:]}"
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class ModelError(PlaygroundError):
    """The chosen model cannot be used as requested."""


class FileError(ModelError):
    """A file that somebody else wrote is missing, damaged, or refused for what it holds.

    `problem` ends a sentence that begins with the file's name: "is damaged: it is nested too
    deeply".
    """

    def __init__(
        self,
        name: str,
        problem: str,
        detail: str = "",
        remedy: str = "Download the model again, or delete it.",
    ) -> None:
        shown = name if len(name) <= 80 else f"{name[:60]}…{name[-17:]}"
        super().__init__(f"{shown} {problem}.", remedy, detail)


class RemoteCodeError(ModelError):
    """The model brings Python code, and the user has not agreed to run this version of it."""


class OptionsError(PlaygroundError):
    """A value that the user gave is not allowed."""


class EngineError(PlaygroundError):
    """The engine process failed or ended unexpectedly."""


class MemoryShortageError(EngineError):
    """Too little memory is free for a load; the user may insist on loading anyway."""


class ProtocolError(EngineError):
    """The engine sent bytes that are not a message of its protocol."""
