"""The one error the user sees: what went wrong, and what to do about it."""

from __future__ import annotations


class PlaygroundError(Exception):
    """A failure told in the user's words.

    `message` says what is wrong, `remedy` what to do; both are whole sentences. `detail` is
    for the log (a traceback, a library's own text) and is never shown unasked.
    """

    def __init__(self, message: str, remedy: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class ModelError(PlaygroundError):
    """The chosen model cannot be used as asked."""


class RemoteCodeError(ModelError):
    """The model needs to run code of its own, and nobody agreed to it as it is now."""


class OptionsError(PlaygroundError):
    """A generation option is outside what is allowed."""


class EngineError(PlaygroundError):
    """The engine process failed or ended when it should not have."""


class MemoryShortageError(EngineError):
    """Too little memory is free for a load; the user may insist on it."""


class ProtocolError(EngineError):
    """Bytes that are no message of the engine's protocol."""
