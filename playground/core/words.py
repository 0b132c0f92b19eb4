"""Times put into words, for the window and the command line alike."""

from __future__ import annotations


def human_duration(seconds: float) -> str:
    """A time to wait, for people: "8 s", "3 min", "2 h 10 min"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
