"""An entry of the download queue, as shown and as stored."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from playground.core.facts import ModelSpec
from playground.core.lane import LaneChoice


class DownloadState(StrEnum):
    """The stages of a queue entry; stored by value."""

    WAITING = "waiting"  # until those before it are over
    PLANNING = "planning"  # asking the Hub for the files and their sizes
    RUNNING = "running"
    RETRYING = "retrying"  # waiting until `retry_at` to resume by itself
    FINISHED = "finished"
    FAILED = "failed"  # `message` and `remedy` say why; `retry` starts it again
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (DownloadState.FINISHED, DownloadState.FAILED, DownloadState.CANCELLED)

    @property
    def is_active(self) -> bool:
        """Whether a child process is running."""
        return self in (DownloadState.PLANNING, DownloadState.RUNNING)


_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class DownloadItem(msgspec.Struct, frozen=True, kw_only=True):
    """One model in the queue. Sizes in bytes, times in seconds.

    `added` counts from the epoch; `retry_at` is of `time.monotonic()`, since the clock may be set.

    `commit` is pinned by the first plan, so that retries and restarts download the same version.
    `total_bytes` is 0 until the plan is known, which is before the first byte. `message` and
    `remedy` explain RETRYING and FAILED. `ask_at` and `needs_login` are as in HubError. `lanes`
    are the lanes, a model and a precision each, that a window sets up when this entry and all
    others with the same lanes have finished.
    """

    key: str
    spec: ModelSpec
    state: DownloadState = DownloadState.WAITING
    commit: str = ""
    repository: str = ""  # the model's folder in the Hub's cache, known from the first plan on
    files: _Count = 0
    total_bytes: _Count = 0
    done_bytes: _Count = 0  # with what was already here
    present_bytes: _Count = 0  # that were here at the last start
    bytes_per_s: float = 0.0  # over the last seconds
    quiet_s: float = 0.0  # since the last byte
    attempt: _Count = 0  # failed attempts so far, in a row
    retry_at: float = 0.0
    message: str = ""
    remedy: str = ""
    ask_at: str = ""
    needs_login: bool = False
    folder: str = ""  # of the finished model
    added: float = 0.0
    lanes: tuple[LaneChoice, ...] = ()

    @property
    def fraction(self) -> float | None:
        """The part that is here, 0 to 1; None while the total is not known."""
        return self.done_bytes / self.total_bytes if self.total_bytes else None

    @property
    def remaining_s(self) -> float | None:
        """Seconds left at this rate; None where nothing moves."""
        if self.state is not DownloadState.RUNNING or self.bytes_per_s <= 0:
            return None
        return (self.total_bytes - self.done_bytes) / self.bytes_per_s

    @property
    def is_quiet(self) -> bool:
        """Whether it runs and no byte has come for some seconds."""
        return self.state is DownloadState.RUNNING and self.quiet_s >= QUIET_AFTER_S


#: Seconds without a byte after which a download is called quiet.
QUIET_AFTER_S = 5.0
