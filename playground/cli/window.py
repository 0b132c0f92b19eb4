"""The way from a command to the window, which may lack what it needs."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Protocol, cast


class Window(Protocol):
    """What playground.app.main offers to commands."""

    def main(self, args: Any) -> int:
        """Open the window; returns the exit code."""


def window() -> Window:
    """Import the window's side. Raises PlaygroundError naming libraries that Qt lacks here."""
    module: ModuleType
    try:
        from playground.app import main as module
    except ImportError as error:
        from playground.core.errors import PlaygroundError
        from playground.core.system.qt_platform import libraries_sentence, missing_libraries

        missing = missing_libraries("xcb")
        if not missing:
            raise
        raise PlaygroundError(libraries_sentence(missing), detail=str(error)) from error
    return cast(Window, module)
