"""An entry of the download queue, as it is shown and as it is stored."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from playground.core.facts import ModelSpec
from playground.core.precision import Precision


class DownloadState(StrEnum):
    WAITING = "waiting"  # for its turn
    PLANNING = "planning"  # asks the Hub for the files and their sizes
    RUNNING = "running"
    RETRYING = "retrying"  # waits until `retry_at`, then goes on by itself
    FINISHED = "finished"
    FAILED = "failed"  # `message` and `remedy` say why; `retry` starts it again
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Nothing more happens by itself."""
        return self in (DownloadState.FINISHED, DownloadState.FAILED, DownloadState.CANCELLED)

    @property
    def is_active(self) -> bool:
        """A process is at work."""
        return self in (DownloadState.PLANNING, DownloadState.RUNNING)


class DownloadItem(msgspec.Struct, frozen=True, kw_only=True):
    """One model in the queue. Sizes in bytes, times in seconds since the epoch.

    `commit` is pinned: what was asked for first stays what is downloaded, over retries and
    restarts. `total_bytes` is 0 until the plan is known, which is before the first byte.
    `message` and `remedy` explain RETRYING and FAILED. `ask_at` is the page where a gated model
    is asked for, `needs_login` that logging in is the next step. `lanes` are what a window shall
    set up when this and all others with the same lanes are here: a model and a precision each.
    """

    key: str
    spec: ModelSpec
    state: DownloadState = DownloadState.WAITING
    commit: str = ""
    files: int = 0
    total_bytes: int = 0
    done_bytes: int = 0  # what was already here counts
    present_bytes: int = 0  # of finished files, when it last began
    bytes_per_s: float = 0.0  # over the last seconds
    quiet_s: float = 0.0  # since the last byte
    attempt: int = 0  # failed attempts so far, in a row
    retry_at: float = 0.0
    message: str = ""
    remedy: str = ""
    ask_at: str = ""
    needs_login: bool = False
    folder: str = ""  # where it lies, once finished
    added: float = 0.0
    lanes: tuple[tuple[ModelSpec, Precision], ...] = ()

    @property
    def fraction(self) -> float | None:
        """How much is here, 0 to 1; None while the total is not known."""
        return self.done_bytes / self.total_bytes if self.total_bytes else None

    @property
    def remaining_s(self) -> float | None:
        """Seconds left at this pace; None where nothing moves."""
        if self.state is not DownloadState.RUNNING or self.bytes_per_s <= 0:
            return None
        return (self.total_bytes - self.done_bytes) / self.bytes_per_s

    @property
    def is_quiet(self) -> bool:
        """It runs, and no byte has come for some seconds: say so."""
        return self.state is DownloadState.RUNNING and self.quiet_s >= QUIET_AFTER_S


#: Seconds without a byte after which a download is called quiet.
QUIET_AFTER_S = 5.0
