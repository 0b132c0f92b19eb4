"""What a command prints: results to stdout, status to stderr, or JSON lines."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence

from playground.core.errors import PlaygroundError
from playground.core.format import printable

_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = "_.-:=+*#"


class Console:
    """Output of one command. With `json`, stdout gets only JSON lines, and stderr only warnings."""

    def __init__(self, json: bool = False) -> None:
        self.json = json
        self.live = sys.stderr.isatty() and not json
        self._shown = ""

    def event(self, name: str, **fields: object) -> None:
        """Print one JSON line, in JSON mode only."""
        if self.json:
            sys.stdout.write(json.dumps({"event": name, **fields}, allow_nan=False) + "\n")
            sys.stdout.flush()

    def status(self, text: str) -> None:
        """Show progress on stderr; a terminal shows it in one line that is overwritten."""
        if self.json or text == self._shown:
            return
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{text[:width]}")
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
        self._shown = text

    def end_status(self) -> None:
        """Clear the status line of a terminal."""
        if self.live and self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        self._shown = ""

    def note(self, text: str) -> None:
        """Print a remark to stderr, but not in JSON mode."""
        if not self.json:
            self.end_status()
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def print(self, text: str = "") -> None:
        """Print a line of the result, but not in JSON mode."""
        if not self.json:
            self.end_status()
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def table(self, rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> None:
        """Print an aligned table, as `table` lays it out."""
        for line in table(rows, left):
            self.print(line)

    def stream(self, text: str) -> None:
        """Print model output as it comes; a terminal gets it without control characters."""
        if self.json or not text:
            return
        sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()

    def warn(self, text: str) -> None:
        """Print a warning to stderr, in JSON mode too."""
        self.end_status()
        sys.stderr.write(f"playground: {text}\n")
        sys.stderr.flush()

    def failed(self, error: PlaygroundError) -> None:
        """Print an error and its remedy to stderr, and as the JSON event `failed`."""
        self.event("failed", message=error.message, remedy=error.remedy, detail=error.detail)
        self.warn(" ".join(str(error).split()))


def table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Return the lines of a table, the first row as its head.

    Columns whose index is in `left` are aligned left, the others right.
    """
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
