"""The words of the downloads: a sentence for each state, and the summary."""

from __future__ import annotations

from collections.abc import Sequence

from playground.core.format import human_duration, size_text
from playground.hub.downloads.items import DownloadItem, DownloadState


def state_text(item: DownloadItem, now: float) -> str:
    """Return a sentence on a download's state; `now` is `time.monotonic()`."""
    match item.state:
        case DownloadState.WAITING:
            here = f" {size_text(item.done_bytes)} are here." if item.done_bytes else ""
            return f"Waiting for its turn.{here}"
        case DownloadState.PLANNING:
            return "Asking the Hub for the files and their sizes …"
        case DownloadState.RUNNING:
            return _running(item)
        case DownloadState.RETRYING:
            wait = human_duration(item.retry_at - now) if item.retry_at > now else "a moment"
            return f"{item.message} Resumes automatically in {wait}."
        case DownloadState.FINISHED:
            return f"{size_text(item.total_bytes)} are on this machine."
        case DownloadState.FAILED:
            return f"{item.message} {item.remedy}".strip()
        case DownloadState.CANCELLED:
            return "Cancelled. Finished files are kept, unfinished ones are removed."


def summary(items: Sequence[DownloadItem]) -> str:
    """Return all downloads in a few words, for the indicator; "" where none is active."""
    active = [item for item in items if not item.state.is_over]
    failed = sum(item.state is DownloadState.FAILED for item in items)
    if not active:
        return f"{_count(failed)} failed" if failed else ""
    known = [item for item in active if item.total_bytes]
    total = sum(item.total_bytes for item in known)
    text = _count(len(active))
    return f"{text} · {sum(i.done_bytes for i in known) / total:.0%}" if total else text


def _count(number: int) -> str:
    return "1 download" if number == 1 else f"{number} downloads"


def _running(item: DownloadItem) -> str:
    text = f"{size_text(item.done_bytes)} of {size_text(item.total_bytes)}"
    if item.is_quiet:
        return f"{text} · nothing has arrived for {human_duration(item.quiet_s)}"
    if item.bytes_per_s > 0:
        text += f" · {size_text(int(item.bytes_per_s))}/s"
    if item.done_bytes >= item.total_bytes:
        return f"{size_text(item.total_bytes)} have arrived · checking them"
    left = item.remaining_s
    if left is not None:
        text += f" · {human_duration(left)} left"
    return text
