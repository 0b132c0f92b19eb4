"""What a command prints: results to stdout, status to stderr, or JSON lines."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence

from playground.cli.streams import write_result, write_status
from playground.core.errors import PlaygroundError
from playground.core.format import plain_line, printable

_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = "_.-:=+*#"


class Console:
    """Output of one command. With `json`, stdout gets only JSON lines, and stderr only warnings.

    Names and texts of models reach a terminal without control characters. A result that cannot be
    written raises OutputError.
    """

    def __init__(self, json: bool = False) -> None:
        self.json = json
        self.live = sys.stderr.isatty() and not json
        self._shown = ""

    def event(self, name: str, **fields: object) -> None:
        """Print one JSON line, in JSON mode only."""
        if self.json:
            write_result(json.dumps({"event": name, **fields}, allow_nan=False) + "\n")

    def status(self, text: str) -> None:
        """Show progress on stderr; a terminal shows it in one line that is overwritten."""
        if self.json or text == self._shown:
            return
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            write_status(f"\r\x1b[K{plain_line(text)[:width]}")
        else:
            write_status(f"{plain_line(text)}\n")
        self._shown = text

    def end_status(self) -> None:
        """Clear the status line of a terminal."""
        if self.live and self._shown:
            write_status("\r\x1b[K")
        self._shown = ""

    def note(self, text: str) -> None:
        """Print a remark to stderr, but not in JSON mode."""
        if not self.json:
            self.end_status()
            write_status(f"{printable(text)}\n")

    def print(self, text: str = "") -> None:
        """Print a line of the result, but not in JSON mode."""
        if not self.json:
            self.end_status()
            write_result(f"{printable(text)}\n")

    def table(self, rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> None:
        """Print an aligned table, as `table` lays it out."""
        for line in table(rows, left):
            self.print(line)

    def stream(self, text: str) -> None:
        """Print model output as it comes; a terminal gets it without control characters."""
        if self.json or not text:
            return
        write_result(printable(text) if sys.stdout.isatty() else text)

    def warn(self, text: str) -> None:
        """Print a warning to stderr, in JSON mode too."""
        self.end_status()
        write_status(f"playground: {plain_line(text)}\n")

    def failed(self, error: PlaygroundError) -> None:
        """Print an error and its remedy to stderr, and as the JSON event `failed`."""
        self.event("failed", message=error.message, remedy=error.remedy, detail=error.detail)
        self.warn(" ".join(str(error).split()))


def table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Return the lines of a table, the first row as its head.

    Columns whose index is in `left` are aligned left, the others right.
    """
    rows = [[plain_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return lines


def sparkline(values: Sequence[float], highest: float, width: int = 60) -> str:
    """Return a curve drawn in bars, scaled from 0 to `highest`.

    Each of at most `width` columns shows the largest of its share of the values.
    """
    bars = _BARS if _can_print(_BARS) else _PLAIN_BARS
    columns = min(width, len(values))
    line = ""
    for column in range(columns):
        share = values[column * len(values) // columns : (column + 1) * len(values) // columns]
        level = max(share) / highest if highest > 0 else 0.0
        line += bars[min(len(bars) - 1, int(level * len(bars)))]
    return line


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
