"""Where the files shipped with the playground lie."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]


def resource(*parts: str) -> Path:
    """Return the path of a shipped file or folder; it need not exist.

    A wheel carries the resources inside the package, a checkout beside it.
    """
    installed = _PACKAGE / "_resources"
    root = installed if installed.is_dir() else _PACKAGE.parent / "resources"
    return root.joinpath(*parts)
