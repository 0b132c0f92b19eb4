"""Saves reports as files: an HTML page, Markdown, or JSON."""

from __future__ import annotations

import json
from pathlib import Path

from playground.core.errors import PlaygroundError
from playground.core.system.files import write_atomically
from playground.history.report.fields import run_fields
from playground.history.report.markdown import markdown_of
from playground.history.report.page import page_of
from playground.history.report.summary import RunReport

#: The formats by their suffixes, with their names in a file dialog.
FORMATS = {".html": "HTML page", ".md": "Markdown", ".json": "JSON"}


def write_report(report: RunReport, path: Path, suffix: str) -> None:
    """Save a report in the format of a suffix. Raises PlaygroundError where that fails."""
    match suffix:
        case ".html":
            text = page_of(report)
        case ".md":
            text = markdown_of(report)
        case _:
            text = json.dumps(run_fields(report), indent=1)
    try:
        write_atomically(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise PlaygroundError(
            f"The report could not be saved to {path}: {error.strerror}.",
            "Choose a folder that you can write to.",
            str(error),
        ) from error
