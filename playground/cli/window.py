"""Imports the window for a command, and says which libraries it lacks."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import Protocol, cast


class Window(Protocol):
    """What commands use of playground.app.main."""

    def main(self, args: argparse.Namespace) -> int:
        """Open the window; returns the exit code."""


def window() -> Window:
    """Import and return the window's entry. Raises PlaygroundError naming what Qt lacks here."""
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
