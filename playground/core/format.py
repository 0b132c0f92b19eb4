"""The one place that formats sizes, counts and times, and makes untrusted text safe to show."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

#: Shown where a value is unknown.
NOTHING = "–"

_UNITS = ("B", "kB", "MB", "GB", "TB")
#: Control and format characters, surrogates, line and paragraph separators.
_CONTROLS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_DAY = 86_400.0
_PATH = 300  # characters


def plain_line(text: str) -> str:
    """Return untrusted text on one line: every control character is replaced by "�"."""
    return "".join(_REPLACEMENT if unicodedata.category(c) in _CONTROLS else c for c in text)


def path_text(path: object) -> str:
    """Return a path on one line for a sentence; the middle of a very long one is left out."""
    text = plain_line(str(path))
    return text if len(text) <= _PATH else f"{text[: _PATH // 2]}…{text[-_PATH // 2 :]}"


def printable(text: str) -> str:
    """Return text for a terminal: control characters but newline and tab are replaced by "�"."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) != "Cc" else _REPLACEMENT for c in text
    )


def device_label(device: str) -> str:
    """Return a device's id as people write it: "CPU", "cuda:0"."""
    return "CPU" if device == "cpu" else device


def three_digits(value: float) -> str:
    """Format a number with about three significant digits: 0.0123, 1.23, 12.3, 1,234."""
    size = abs(value)
    for limit, places in ((0.0995, 4), (0.995, 3), (9.995, 2), (99.95, 1)):
        if size < limit:
            return f"{value:.{places}f}"
    return f"{value:,.0f}"


def size_text(count: float | None) -> str:
    """Format bytes in powers of 1000 with three digits: "13.2 MB"."""
    if count is None:
        return NOTHING
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{count:.0f} B" if unit == 0 else f"{three_digits(value)} {_UNITS[unit]}"


def human_count(count: int) -> str:
    """Format a count in words: "5.9 million", "7.24 billion", "3,410 trillion"."""
    for word, size in (("trillion", 1e12), ("billion", 1e9), ("million", 1e6)):
        if count >= size:
            value = count / size
            return f"{value:.3g} {word}" if value < 999.5 else f"{value:,.0f} {word}"
    return f"{count:,}"


def short_count(count: int | None) -> str:
    """Format a count with three digits: "5.93 M", "7.24 B", "812"; "" for None."""
    if count is None:
        return ""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size * 0.9995:
            return f"{count / size:.3g} {unit}"
    return str(count)


def ms_text(milliseconds: float | None) -> str:
    """Format a duration given in milliseconds as `seconds_text` does."""
    return seconds_text(None if milliseconds is None else milliseconds / 1e3)


def seconds_text(seconds: float | None) -> str:
    """Format a measured duration: milliseconds below one second, then seconds."""
    if seconds is None:
        return NOTHING
    if seconds < 0.9995:
        return f"{three_digits(seconds * 1e3)} ms"
    return f"{three_digits(seconds)} s"


def human_duration(seconds: float) -> str:
    """Format a time to wait: "8 s", "3 min", "2 h 10 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def clock_text(seconds: float) -> str:
    """Format a running clock: tenths of a second first, minutes later."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d} min"


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """Format how long ago a moment was: "today", "5 days", "2 years"; "" for None."""
    if moment is None:
        return ""
    days = ((now or datetime.now(UTC)) - moment).total_seconds() / _DAY
    if days < 1:
        return "today"
    for one, many, length in (("day", "days", 1.0), ("month", "months", 30.44)):
        amount = int(days / length)
        if amount < (60 if one == "day" else 24):
            return f"{amount} {one if amount == 1 else many}"
    return f"{int(days / 365.25)} years"


def rate_text(value: float | None) -> str:
    """Format tokens per second with three digits."""
    return NOTHING if value is None else three_digits(value)


def percent_text(fraction: float | None, *, exact: bool = True) -> str:
    """Format a fraction as per cent, with one decimal below ten; "≈" where it is not exact."""
    if fraction is None:
        return NOTHING
    text = f"{fraction:.1%}" if fraction < 0.0995 else f"{fraction:.0%}"
    return text if exact else f"≈ {text}"


def ratio_text(value: float | None) -> str:
    """Format a ratio: "1.23×"."""
    return NOTHING if value is None else f"{value:.2f}×"
