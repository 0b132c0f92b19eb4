"""What a download says of itself: one sentence for each of its states."""

from __future__ import annotations

from collections.abc import Sequence

from playground.core.format import human_duration, size_text
from playground.hub.downloads.items import DownloadItem, DownloadState


def state_text(item: DownloadItem, now: float) -> str:
    """How a download stands. `now` in seconds since the epoch."""
    match item.state:
        case DownloadState.WAITING:
            here = f" {size_text(item.done_bytes)} are here." if item.done_bytes else ""
            return f"Waits for its turn.{here}"
        case DownloadState.PLANNING:
            return "Asking the Hub for the files and their sizes …"
        case DownloadState.RUNNING:
            return _running(item)
        case DownloadState.RETRYING:
            wait = human_duration(item.retry_at - now) if item.retry_at > now else "a moment"
            return f"{item.message} Goes on by itself in {wait}."
        case DownloadState.FINISHED:
            return f"{size_text(item.total_bytes)} are on this machine."
        case DownloadState.FAILED:
            return f"{item.message} {item.remedy}".strip()
        case DownloadState.CANCELLED:
            return "Cancelled. Finished files are kept, another try goes on from there."


def summary(items: Sequence[DownloadItem]) -> str:
    """All downloads on one short line, for a place that is always seen; "" where none is on."""
    on = [item for item in items if not item.state.is_over]
    failed = sum(item.state is DownloadState.FAILED for item in items)
    if not on:
        return f"{_count(failed)} failed" if failed else ""
    known = [item for item in on if item.total_bytes]
    total = sum(item.total_bytes for item in known)
    text = _count(len(on))
    return f"{text} · {sum(i.done_bytes for i in known) / total:.0%}" if total else text


def _count(number: int) -> str:
    return "1 download" if number == 1 else f"{number} downloads"


def _running(item: DownloadItem) -> str:
    text = f"{size_text(item.done_bytes)} of {size_text(item.total_bytes)}"
    if item.is_quiet:
        return f"{text} · nothing has arrived for {human_duration(item.quiet_s)}"
    if item.bytes_per_s > 0:
        text += f" · {size_text(int(item.bytes_per_s))}/s"
    left = item.remaining_s
    if left is not None and item.done_bytes < item.total_bytes:
        text += f" · {human_duration(left)} left"
    return text
