"""Reads a text file that becomes a part of the prompt."""

from __future__ import annotations

from pathlib import Path

from playground.core.errors import PlaygroundError

MAX_BYTES = 1_000_000
_REMEDY = "Use a text file in UTF-8 of up to 1 MB."


def read_text_file(path: Path) -> str:
    """Return the text of a file. Raises PlaygroundError where it is no text, or too long."""
    try:
        if not path.is_file():
            raise PlaygroundError(f"{path.name} is not a file.", _REMEDY)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PlaygroundError(f"{path.name} cannot be read.", _REMEDY, str(error)) from error
    if len(data) > MAX_BYTES:
        raise PlaygroundError(f"{path.name} is larger than 1 MB.", _REMEDY)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlaygroundError(f"{path.name} is not a text.", _REMEDY) from error
    if "\0" in text:
        raise PlaygroundError(f"{path.name} is not a text.", _REMEDY)
    return text
